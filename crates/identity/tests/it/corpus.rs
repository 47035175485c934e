//! Replays the stored fuzz corpus. The part of a file's name before the first `-` is the expected
//! end, `any` for inputs a fuzzer found.

use std::path::Path;

use identity::fuzz::Passkeys;
use kernel::{Rng, SeededRng, rng};
use serde_json::json;

use crate::fuzz_bodies;
use crate::software_key::{Key, ORIGIN};

/// Set to the number of mutants of each target, for a long run.
const MUTANTS: &str = "MEYDAN_FUZZ_MUTANTS";
/// Set to another number for other mutants.
const SEED: &str = "MEYDAN_FUZZ_SEED";

type Input = (String, Vec<u8>);

/// The stored inputs of a target, in the order of their names.
fn inputs(target: &str) -> Vec<Input> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut inputs: Vec<Input> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// Replays the corpus, then mutants of it: a fuzzer that sees no coverage, and needs no tools.
fn replay(target: &str, at_least: usize, end_of: impl Fn(&[u8]) -> &'static str) {
    let inputs = inputs(target);
    for (name, data) in &inputs {
        let end = end_of(data);
        let (expected, _) = name.split_once('-').unwrap();
        assert!(
            expected == "any" || expected == end,
            "{name} ended with {end}"
        );
    }
    let count = inputs.len();
    assert!(count >= at_least, "only {count} inputs for {target}");
    let number = |name: &str, usual: u64| {
        std::env::var_os(name).map_or(usual, |text| text.to_str().unwrap().parse().unwrap())
    };
    let seed = number(SEED, 1);
    let random = SeededRng::new(seed);
    for _ in 0..number(MUTANTS, 300) {
        let mutant = mutant(&*random, &inputs);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| end_of(&mutant)));
        assert!(
            ended.is_ok(),
            "{SEED}={seed}: {:?}",
            mutant.escape_ascii().to_string()
        );
    }
}

/// An input with some bytes changed, taken out, put in, doubled, or taken from another input.
fn mutant(random: &dyn Rng, inputs: &[Input]) -> Vec<u8> {
    let below = |most: usize| {
        usize::try_from(rng::below(random, u64::try_from(most.max(1)).unwrap())).unwrap()
    };
    let mut data = inputs[below(inputs.len())].1.clone();
    for _ in 0..=below(4) {
        let from = below(data.len() + 1);
        let to = (from + below(9)).min(data.len());
        let piece: Vec<u8> = match below(6) {
            0 => rng::bytes::<1>(random).to_vec(),
            1 => Vec::new(),
            2 => data[from..to].repeat(1 + below(40)),
            3 => b"\0\xff\x7f{}[]\"\\-.:\n9"
                .iter()
                .copied()
                .skip(below(14))
                .take(1)
                .collect(),
            4 => format!("{}", rng::below(random, u64::MAX)).into_bytes(),
            _ => {
                let other = &inputs[below(inputs.len())].1;
                let at = below(other.len() + 1);
                other.iter().copied().skip(at).take(below(64)).collect()
            }
        };
        data.splice(from..to, piece);
        data.truncate(8_192);
    }
    data
}

/// Targets for text see nothing else; a mutant that is none becomes one.
fn text(body: fn(&str) -> &'static str) -> impl Fn(&[u8]) -> &'static str {
    move |data| body(&String::from_utf8_lossy(data))
}

#[test]
fn p5_stored_names_end_as_their_names_say() {
    replay("names", 40, text(fuzz_bodies::names));
}

#[test]
fn p5_stored_codes_end_as_their_names_say() {
    replay("codes", 20, text(fuzz_bodies::codes));
}

#[test]
fn p5_stored_devices_end_as_their_names_say() {
    replay("devices", 20, text(fuzz_bodies::devices));
}

#[test]
fn p5_stored_refresh_tokens_end_as_their_names_say() {
    replay("refresh_tokens", 25, text(fuzz_bodies::refresh_tokens));
}

#[test]
fn p5_stored_id_tokens_end_as_their_names_say() {
    replay("id_tokens", 25, text(fuzz_bodies::id_tokens));
}

#[test]
fn p5_stored_passkeys_end_as_their_names_say() {
    replay("passkeys", 15, fuzz_bodies::passkeys);
}

/// Prints what `fuzz/passkeys.json` would hold today, for when the library reads it no more.
#[tokio::test]
async fn ceremonies_of_the_corpus_can_be_made_anew() {
    let site = Passkeys::new().unwrap();
    let mut key = Key::default();
    let (options, waits) = site.begin_registration().unwrap();
    let made = key.create(ORIGIN, &options).await;
    let stored = site.finish_registration(&waits, made.clone()).unwrap();
    let registration = json!({"waiting": waits, "answer": made});
    let (options, waits) = site.begin_authentication().unwrap();
    let used = key.get(ORIGIN, &options).await;
    assert!(site.finish_authentication(&waits, &stored, used.clone()));
    let authentication = json!({"waiting": waits, "stored": stored, "answer": used});
    let mut all = json!({"registration": registration, "authentication": authentication});
    all.sort_all_objects();
    println!("{all:#}");
}
