#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the other target uses the rest")]
#[path = "../bodies.rs"]
mod bodies;

fuzz_target!(|data: &[u8]| {
    let _ = bodies::frames(data);
});
