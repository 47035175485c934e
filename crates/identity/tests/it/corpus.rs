//! Replays the stored fuzz corpus, as `testkit::corpus` tells.

use identity::fuzz::Passkeys;
use serde_json::json;

use crate::fuzz_bodies;
use crate::software_key::{Key, ORIGIN};

/// Replays a target of this crate.
fn replay(target: &str, at_least: usize, end_of: impl Fn(&[u8]) -> &'static str) {
    testkit::corpus::replay(env!("CARGO_MANIFEST_DIR"), target, at_least, end_of).unwrap();
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
