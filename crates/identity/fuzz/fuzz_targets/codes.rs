#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies.rs"]
mod bodies;

fuzz_target!(|text: &str| {
    let _ = bodies::codes(text);
});
