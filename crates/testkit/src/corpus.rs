//! Replays the stored corpus of a fuzz target, then mutants of it: a fuzzer that sees no coverage,
//! and needs no tools. The part of a file's name before the first `-` is the expected end, `any` for
//! inputs a fuzzer found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use kernel::{Rng, SeededRng, rng};

/// Set to the number of mutants of each target, for a long run.
const MUTANTS: &str = "MEYDAN_FUZZ_MUTANTS";
/// Set to another number for other mutants.
const SEED: &str = "MEYDAN_FUZZ_SEED";
/// Mutants are cut to this length.
const MUTANT_BYTES: usize = 8_192;

/// A name with its bytes.
type Input = (String, Vec<u8>);

/// Replays `fuzz/corpus/<target>` of the crate in `root`, of `at_least` so many inputs.
///
/// # Errors
///
/// With the input that ends otherwise than its name says, or the mutant that breaks a rule.
pub fn replay(
    root: &str,
    target: &str,
    at_least: usize,
    end_of: impl Fn(&[u8]) -> &'static str,
) -> Result<()> {
    let inputs = inputs(&Path::new(root).join("fuzz/corpus").join(target))?;
    for (name, data) in &inputs {
        let end = end_of(data);
        let (expected, _) = name.split_once('-').context("a name with its end")?;
        ensure!(
            expected == "any" || expected == end,
            "{name} ended with {end}"
        );
    }
    let count = inputs.len();
    ensure!(count >= at_least, "only {count} inputs for {target}");
    let seed = number(SEED, 1)?;
    let random = SeededRng::new(seed);
    for _ in 0..number(MUTANTS, 300)? {
        let mutant = mutant(&*random, &inputs);
        let ended = catch_unwind(AssertUnwindSafe(|| end_of(&mutant)));
        ensure!(ended.is_ok(), "{SEED}={seed}: {}", mutant.escape_ascii());
    }
    Ok(())
}

fn number(name: &str, usual: u64) -> Result<u64> {
    match std::env::var_os(name) {
        Some(text) => Ok(text.to_str().context("a number")?.parse()?),
        None => Ok(usual),
    }
}

/// The stored inputs, in the order of their names.
fn inputs(folder: &Path) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        inputs.push((name, std::fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}

/// An input with some bytes changed, taken out, put in, doubled, or taken from another input.
fn mutant(random: &dyn Rng, inputs: &[Input]) -> Vec<u8> {
    let below = |most: usize| {
        let most = u64::try_from(most.max(1)).unwrap_or(u64::MAX);
        usize::try_from(rng::below(random, most)).unwrap_or(0)
    };
    let any = || {
        let input = inputs.get(below(inputs.len()));
        input.map(|(_, data)| data.as_slice()).unwrap_or_default()
    };
    let mut data = any().to_vec();
    for _ in 0..=below(4) {
        let from = below(data.len() + 1);
        let to = (from + below(9)).min(data.len());
        let piece: Vec<u8> = match below(6) {
            0 => rng::bytes::<1>(random).to_vec(),
            1 => Vec::new(),
            2 => {
                let piece = data.get(from..to).unwrap_or_default();
                piece.repeat(1 + below(40))
            }
            3 => b"\0\xff\x7f{}[]\"\\-.:\n9"
                .iter()
                .copied()
                .skip(below(14))
                .take(1)
                .collect(),
            4 => format!("{}", rng::below(random, u64::MAX)).into_bytes(),
            _ => {
                let other = any();
                let at = below(other.len() + 1);
                other.iter().copied().skip(at).take(below(64)).collect()
            }
        };
        data.splice(from..to, piece);
        data.truncate(MUTANT_BYTES);
    }
    data
}
