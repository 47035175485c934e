//! Replays the stored fuzz corpus. The part of a file's name before the first `-` is the expected
//! end: `ok` or `invalid`, `any` for inputs a fuzzer found.

use std::path::Path;

use crate::fuzz_bodies;

#[test]
fn p5_stored_tokens_end_as_their_names_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/tokens");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let (expected, _) = name.split_once('-').unwrap();
        let end = fuzz_bodies::token(&text);
        assert_ne!(end, "unavailable", "{name}");
        assert!(
            expected == "any" || expected == end,
            "{name} ended with {end}"
        );
        count += 1;
    }
    assert!(count >= 40, "only {count} inputs");
}
