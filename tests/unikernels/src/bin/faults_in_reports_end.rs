//! Panics with a message that faults while the report is made; with `app.how=panics` it panics
//! again, with the same message. Must end after the second report, or the third attempt at one. With
//! `app.how=handler` it faults as a handler of exceptions would, on their stack.
#![no_std]
#![no_main]

use core::fmt;

use elone::Platform;

/// A message that cannot be written.
struct Evil {
    panics: bool,
}

impl fmt::Display for Evil {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.panics {
            panic!("{self}");
        }
        // SAFETY: none; this is the fault.
        unsafe { core::arch::asm!("udf #0") };
        Ok(())
    }
}

#[elone::main]
async fn main(platform: Platform) {
    if platform.setting("how") == Some("handler") {
        // SAFETY: none; this is the fault.
        unsafe { core::arch::asm!("msr spsel, #1", "udf #0") };
    }
    panic!("{}", Evil { panics: platform.setting("how") == Some("panics") });
}
