//! Replays the stored fuzz corpus, as `testkit::corpus` tells.

use crate::fuzz_bodies;

fn replay(target: &str, at_least: usize, end_of: fn(&[u8]) -> &'static str) {
    testkit::corpus::replay(env!("CARGO_MANIFEST_DIR"), target, at_least, end_of).unwrap();
}

#[test]
fn p5_stored_messages_in_slacks_form_end_as_their_names_say() {
    replay("slack", 30, fuzz_bodies::slack);
}

#[test]
fn p5_stored_events_of_github_end_as_their_names_say() {
    replay("github", 30, fuzz_bodies::github);
}
