//! Any text gives settings, and at most one complaint a word.
#![no_main]

use elone_kernel::settings::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut complaints = 0;
    let _ = Settings::parse(text, |error| complaints += usize::from(!error.to_string().is_empty()));
    assert!(complaints <= text.split_ascii_whitespace().count());
});
