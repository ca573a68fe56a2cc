//! Faults and panics: reported in full, then the machine ends.
//!
//! The first line is for programs, `FAULT class=… esr=… far=… elr=…`; what follows is for people.
//! Nothing here trusts what the rest of the kernel holds at the time: no lock is waited for, no
//! memory is allocated.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU8, Ordering};

use elone_hal::arch::backtrace::{self, Backtrace};
use elone_hal::arch::exception::{Frame, Kind, Origin, Vector};
use elone_hal::arch::{core as cpu, entry};

use crate::trap::{Access, Reason, Trap};
use crate::{console, power};

/// What the machine ends with after a fault or a panic.
const STATUS: u8 = 101;

/// How many reports were begun: a fault in a report must not begin another one without end.
static REPORTS: AtomicU8 = AtomicU8::new(0);

/// Reports an exception that nobody serves, and ends the machine.
pub(crate) fn exception(frame: &Frame, vector: Vector) -> ! {
    enter();
    let trap = Trap::decode(frame.esr, frame.far);
    let (class, what) = match (vector.kind, &trap) {
        (Kind::SError, _) => ("serror", None),
        (Kind::Fiq, _) => ("fiq", None),
        (_, trap) => match overflowed(trap) {
            Some(stack) => ("stack-overflow", Some(stack)),
            None => (trap.class(), None),
        },
    };
    let Frame { esr, far, elr, spsr, .. } = *frame;
    console::print(format_args!(
        "\nFAULT class={class} esr={esr:#010x} far={far:#018x} elr={elr:#018x} spsr={spsr:#x}\n"
    ));
    match (vector.kind, what) {
        (Kind::Synchronous, Some(stack)) => {
            console::print(format_args!("  {stack} overflowed at {far:#x}\n"));
        }
        (Kind::Synchronous, None) => console::print(format_args!("  {trap}\n")),
        (Kind::SError, _) => console::print(format_args!("  an error from the bus, late\n")),
        _ => console::print(format_args!("  an interrupt that nobody asked for\n")),
    }
    if vector.origin == Origin::Handler {
        console::print(format_args!("  while another exception was being handled\n"));
    }
    registers(frame);
    trace(Some(elr), Backtrace::from(frame.x[29]));
    power::end_after_fault(STATUS)
}

/// Reports a panic of kernel or application, and ends the machine.
pub(crate) fn panic(info: &PanicInfo<'_>) -> ! {
    enter();
    console::print(format_args!("\nPANIC {info}\n"));
    trace(None, Backtrace::here());
    power::end_after_fault(STATUS)
}

/// Nothing more is taken in. A third report, begun while the second was being made, is not: the
/// machine ends, and if even that faults, stays where it is.
fn enter() {
    cpu::mask_interrupts();
    match REPORTS.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => {}
        2 => power::end_in_silence(),
        _ => cpu::halt(),
    }
}

/// The stack whose guard page the trap hit, if it did.
fn overflowed(trap: &Trap) -> Option<&'static str> {
    match trap {
        Trap::Abort { access, reason: Reason::Unmapped, address: Some(address) }
            if *access != Access::Execute =>
        {
            backtrace::stack_guard_at(*address)
        }
        _ => None,
    }
}

fn registers(frame: &Frame) {
    for (index, four) in frame.x.chunks(4).enumerate() {
        let mut line = heapless::String::<128>::new();
        for (offset, value) in four.iter().enumerate() {
            let _fits = write!(line, "  x{:<2} {value:016x}", index * 4 + offset);
        }
        console::print(format_args!("{line}\n"));
    }
    console::print(format_args!("  sp  {:016x}\n", frame.sp));
}

/// Addresses to symbolise with the image's ELF file, which the build id names.
fn trace(first: Option<u64>, rest: Backtrace) {
    console::print(format_args!("  build "));
    for byte in entry::build_id() {
        console::print(format_args!("{byte:02x}"));
    }
    console::print(format_args!("\n  backtrace"));
    for address in first.into_iter().chain(rest).take(32) {
        console::print(format_args!(" {address:#x}"));
    }
    console::print(format_args!("\n"));
}
