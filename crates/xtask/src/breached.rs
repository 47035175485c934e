//! Makes the list of breached passwords that `identity` ships; `identity/src/breached.rs` reads it.

use std::path::Path;

use anyhow::Context as _;

use crate::{Outcome, workspace};

/// Bytes kept of each hash.
const WIDTH: usize = 5;
/// The largest file that is shipped.
const MAX_BYTES: usize = 1_000_000;
const FILE: &str = "crates/identity/data/breached.bin";

/// Reads one password per line and writes the file.
pub(crate) fn run(list: &Path) -> anyhow::Result<Outcome> {
    let bytes = std::fs::read(list).with_context(|| format!("read {}", list.display()))?;
    // A line that is no UTF-8 is no password of ours.
    let text = String::from_utf8_lossy(&bytes);
    let entries = entries(&text);
    let size = entries.len().saturating_mul(WIDTH);
    if size > MAX_BYTES {
        println!("{size} bytes are too many; at most {MAX_BYTES}");
        return Ok(Outcome::Bad);
    }
    std::fs::write(workspace::root().join(FILE), entries.concat())
        .with_context(|| format!("write {FILE}"))?;
    println!("{FILE}: {} passwords", entries.len());
    Ok(Outcome::Good)
}

fn entries(text: &str) -> Vec<[u8; WIDTH]> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let mut entries: Vec<_> = lines.filter(|line| !line.is_empty()).map(entry).collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// The same as in `identity/src/breached.rs`, whose test finds passwords of the list in the file.
fn entry(password: &str) -> [u8; WIDTH] {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in password.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let [a, b, c, d, e, ..] = (hash ^ (hash >> 33)).to_be_bytes();
    [a, b, c, d, e]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_sorted_entries_without_doubles() {
        let list = entries("one\r\ntwo\n\none\nthree");
        assert_eq!(list.len(), 3);
        assert!(list.is_sorted());
        assert!(list.contains(&entry("two")));
    }
}
