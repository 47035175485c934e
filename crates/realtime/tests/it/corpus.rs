//! Replays the stored fuzz corpus. The part of a file's name before the first `-` is the expected
//! end: `ok` or a close code, `any` for inputs a fuzzer found.

use std::path::Path;

use anyhow::{Context as _, Result};

#[test]
fn p5_stored_commands_end_as_their_names_say() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/commands");
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let text = std::fs::read_to_string(entry.path())?;
        let expected = name
            .split_once('-')
            .context("a name with its end")?
            .0
            .to_owned();
        let end = realtime::fuzz_command(&text).map_or("ok".to_owned(), |code| code.to_string());
        assert!(
            expected == "any" || expected == end,
            "{name} ended with {end}"
        );
        count += 1;
    }
    assert!(count >= 30, "only {count} inputs");
    Ok(())
}
