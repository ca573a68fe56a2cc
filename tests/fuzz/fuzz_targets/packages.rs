//! Any package is refused, or keeps every promise that a boot relies on. Packages are made as the
//! build makes them, then made wrong as the input says: it needs no corpus.
#![no_main]

#[path = "../../../kernel/tests/gate_calls/bytes.rs"]
mod bytes;
#[path = "../../../kernel/tests/gate_calls/packages.rs"]
mod packages;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    packages::check(bytes);
});
