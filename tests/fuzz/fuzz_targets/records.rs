//! Any bytes are a record of the black box or none, with a right checksum too.
#![no_main]

#[path = "../../../kernel/tests/gate_calls/bytes.rs"]
mod bytes;
#[path = "../../../kernel/tests/gate_calls/records.rs"]
mod records;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    records::check(bytes);
});
