//! Any registers are a call or none, and any memory that it names is the caller's or is not found.
#![no_main]

#[path = "../../../kernel/tests/gate_calls/bytes.rs"]
mod bytes;
#[path = "../../../kernel/tests/gate_calls/calls.rs"]
mod calls;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    calls::check(bytes);
});
