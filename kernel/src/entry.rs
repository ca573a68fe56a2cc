//! Where the hardware layer enters the kernel: four symbols, and nothing decided here.
#![expect(unsafe_code, reason = "symbols that the hardware layer jumps to")]

use core::panic::PanicInfo;

use elone_hal::arch::entry::Handoff;
use elone_hal::arch::exception::{Frame, Kind, Vector};
use elone_hal::seed::EarlySeed;

use crate::{boot, fault, interrupts, power, seed, watchdog};

#[unsafe(no_mangle)]
fn __elone_early(tree: &mut [u8], extra: &[u64]) -> EarlySeed {
    seed::early(tree, extra)
}

#[unsafe(no_mangle)]
fn __elone_start(handoff: Handoff) -> ! {
    boot::start(handoff)
}

#[unsafe(no_mangle)]
fn __elone_exception(frame: &mut Frame, vector: Vector) {
    match vector.kind {
        Kind::Irq => {
            interrupts::handle();
            if watchdog::is_over() {
                power::overdue();
            }
            if watchdog::is_hung() {
                fault::hang(frame);
            }
        }
        _ => fault::exception(frame, vector),
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fault::panic(info)
}
