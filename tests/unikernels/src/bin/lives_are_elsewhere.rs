//! Says where it has what, and leaves an address that it can use, in its last words; its next life
//! finds it in the report of that fault, and uses it, as somebody would who has learned something from
//! an attack that failed. That must be its end. `app.lives=` is how many there are.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::hint::black_box;

use elone::{Platform, info};

static CONSTANT: u64 = 0x1122_3344_5566_7788;
static mut VARIABLE: u64 = 1;

#[elone::main]
async fn main(platform: Platform) {
    let number = |name| platform.setting(name).and_then(|number| number.parse().ok());
    let (life, lives) = (platform.past().restarts, number("lives").unwrap_or(3));
    let local = black_box(2_u64);
    let heap = Box::new(black_box(3_u64));
    let places = [
        ("a function", (function as fn() as *const ()).addr()),
        ("a constant", (&raw const CONSTANT).addr()),
        ("a variable", (&raw const VARIABLE).addr()),
        ("a local", (&raw const local).addr()),
        ("a block", (&raw const *heap).addr()),
        ("what it is told", platform.machine().board.as_ptr().addr() & !7),
    ];
    let [function, constant, variable, local, heap, told] = places.map(|(_, address)| address);
    info!("it is at {function:x} {constant:x} {variable:x} {local:x} {heap:x} {told:x}");
    if life + 1 >= lives {
        return;
    }
    if life % 2 == 0 {
        let (what, address) = places[life as usize / 2 % places.len()];
        black_box(read(address));
        panic!("{what} was at {address:#x}");
    }
    let report = platform.past().report;
    let left = report.split_once(" was at 0x").and_then(|(_, rest)| rest.split_once('\n'));
    let left = left.and_then(|(digits, _)| usize::from_str_radix(digits.trim_end(), 16).ok());
    let Some(address) = left else { panic!("no address in {report}") };
    black_box(read(address));
    info!("SURVIVED {address:#x}");
}

#[inline(never)]
fn function() {
    black_box(());
}

/// What is there; the end, if there is nothing.
fn read(address: usize) -> u64 {
    // SAFETY: read only, as bytes that anything may be; or a fault, which is what this is for.
    unsafe { core::ptr::with_exposed_provenance::<u64>(address).read_volatile() }
}
