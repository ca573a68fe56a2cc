//! Any bytes are a start or none; what is read stands there.
#![no_main]

#[path = "../../../kernel/tests/gate_calls/bytes.rs"]
mod bytes;
#[path = "../../../kernel/tests/gate_calls/starts.rs"]
mod starts;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    starts::check(bytes);
});
