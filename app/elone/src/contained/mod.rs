//! The application contained at EL0: linked without the kernel, which it asks by `svc`.
//!
//! The rest of the library does not know. What is particular is all here: the gate's symbols, the
//! entry, the clock that needs no call, and how a panic ends.
#![expect(unsafe_code, reason = "the svc, the entry's symbol, and what the kernel hands over")]

extern crate elone_memory as _;

mod call;
mod gate;

use core::arch::{asm, global_asm};
use core::cell::Cell;
use core::fmt::Write;
use core::panic::PanicInfo;

use elone_gate::handover::{self, Counter};
use elone_gate::{Start, abi, calls};

use crate::line::Line;

/// A panic's words: what the kernel passes on, and a byte that the line keeps.
const WORDS: usize = 513;

local! {
    static COUNTER: Cell<Counter> = Cell::new(Counter { start: 0, scale: 0 });
}

// Where the kernel enters the application: on its stack, with the address and length of what it is
// told, and nothing in any other register. Nobody called it, which debuggers want to be told.
global_asm!(
    ".section .text.elone_application_entry, \"ax\"",
    ".global elone_application_entry",
    "elone_application_entry:",
    ".cfi_startproc",
    ".cfi_undefined x30",
    "bl elone_application_begin",
    "brk #0",
    ".cfi_endproc",
);

/// Reads what the application is told ([`handover`]), and runs it.
#[unsafe(no_mangle)]
extern "C" fn elone_application_begin(handed_over: *const u8, length: usize) -> ! {
    // SAFETY: the kernel has mapped these bytes readable, and writes them only while no application
    // runs; so for the life of this one they are constant.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(handed_over, length) };
    let Some((start, counter)) = handover::decode(bytes) else {
        panic!("kernel and application were not built for each other")
    };
    COUNTER.with(|place| place.set(counter));
    let start: *const Start = &raw const start;
    // SAFETY: this function never returns, so its frame lives as long as the application does, and
    // nothing but this reference names the value in it from here on.
    let start: &'static Start = unsafe { &*start };
    calls::exit(calls::application(start))
}

/// The counter of the virtual timer (Arm ARM, section D11.2), which the kernel lets EL0 read. The
/// barrier keeps the reading from being done early.
fn ticks() -> u64 {
    let ticks;
    // SAFETY: reads a register that may be read here.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
    ticks
}

/// The last words go to the kernel, then the application stops where it is: the report shows the
/// registers and the backtrace of this moment, as for any other fault.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut words = Line::<WORDS>::new();
    let _cut = write!(words, "{info}");
    calls::report(words.text());
    loop {
        // SAFETY: ends the application; the kernel does not return from it.
        unsafe { asm!("brk {}", const abi::PANIC) };
    }
}
