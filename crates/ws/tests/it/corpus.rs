//! Replays the stored fuzz corpus.
//!
//! The part of a file's name before the first `-` is the expected end: `ok`, `close`, `more` or a
//! close code for frames, `ok` or a status for requests, `any` for inputs a fuzzer found.

use std::fs;
use std::path::Path;

use crate::bodies::{self, Seen};

/// Name and bytes of each stored input.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    inputs.sort();
    inputs
}

fn check(target: &str, at_least: usize, end_of: impl Fn(&[u8]) -> String) {
    let inputs = inputs(target);
    assert!(
        inputs.len() >= at_least,
        "only {} inputs for {target}",
        inputs.len()
    );
    for (name, data) in inputs {
        let end = end_of(&data);
        let (expected, _) = name.split_once('-').unwrap();
        assert!(
            expected == "any" || expected == end,
            "{name} ended with {end}"
        );
    }
}

#[test]
fn p5_stored_frames_end_as_their_names_say() {
    check("frames", 40, |data| {
        let Some(outcome) = bodies::frames(data) else {
            return "more".to_owned();
        };
        match (outcome.violation, outcome.events.last()) {
            (Some(violation), _) => violation.close_code().to_string(),
            (None, Some(Seen::Close(_))) => "close".to_owned(),
            (None, _) if outcome.left > 0 || outcome.message_in_progress => "more".to_owned(),
            (None, _) => "ok".to_owned(),
        }
    });
}

#[test]
fn p5_stored_requests_end_as_their_names_say() {
    check("handshake", 15, |data| match bodies::handshake(data) {
        Ok(_) => "ok".to_owned(),
        Err(refusal) => refusal.status().to_string(),
    });
}
