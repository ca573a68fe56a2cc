//! The machine's end.

use core::sync::atomic::{AtomicU8, Ordering};

use elone_hal::arch::core as cpu;
use elone_hal::arch::power;

use crate::machine::Conduit;
use crate::policy::{Answer, FaultLimit};
use crate::{blackbox, console};

/// How PSCI is reached: 0 not at all, 1 by `hvc`, 2 by `smc`. An atomic, so that a fault at any
/// time can still power the machine off.
static CONDUIT: AtomicU8 = AtomicU8::new(0);

/// What the machine ends with after a fault.
const FAULTY: u8 = 101;

/// From now on the machine can be powered off, if the device tree says how. Entered at EL2 there is
/// nobody to answer `hvc`, entered at EL3 nobody at all: a call would end in the middle of nowhere.
pub(crate) fn use_conduit(conduit: Option<Conduit>, entered_at: u8) {
    let number = match conduit {
        Some(Conduit::Hvc) if entered_at < 2 => 1,
        Some(Conduit::Smc) if entered_at < 3 => 2,
        _ => 0,
    };
    CONDUIT.store(number, Ordering::Relaxed);
}

/// The way to whoever is below, where the device tree named one.
pub(crate) fn conduit() -> Option<power::Conduit> {
    match CONDUIT.load(Ordering::Relaxed) {
        1 => Some(power::Conduit::Hvc),
        2 => Some(power::Conduit::Smc),
        _ => None,
    }
}

/// Ends the machine. The status goes out as the console's last line, since PSCI has no place for
/// one; then the power goes off.
pub(crate) fn end(status: u8) -> ! {
    cpu::mask_interrupts();
    blackbox::save();
    console::print(format_args!("exit status {status}\n"));
    off()
}

/// Does what follows a fault. Where a machine cannot restart it ends instead, and says so; some
/// monitors end one that restarts, for whoever started it to start it again.
pub(crate) fn follow(answer: Answer) -> ! {
    cpu::mask_interrupts();
    match answer {
        Answer::RestartApplication | Answer::RestartMachine => {
            console::print(format_args!("restarting the machine\n"));
            blackbox::save();
            if let Some(conduit) = conduit() {
                power::reset(conduit);
            }
            console::print(format_args!("this machine cannot be restarted\n"));
        }
        Answer::Quarantine(FaultLimit { faults, seconds }) => {
            let plural = if faults == 1 { "" } else { "s" };
            console::print(format_args!(
                "{faults} fault{plural} in {seconds} s: not started again\n"
            ));
        }
        Answer::Halt => {
            blackbox::save();
            console::print(format_args!("exit status {FAULTY}\n"));
            cpu::halt()
        }
        Answer::Off => {}
    }
    end(FAULTY)
}

/// Ends the machine without a word more: for a report that cannot be made.
pub(crate) fn end_in_silence() -> ! {
    if let Some(conduit) = conduit() {
        power::off(conduit);
    }
    cpu::halt()
}

/// Where the power cannot be switched off, the core sleeps for good.
fn off() -> ! {
    if let Some(conduit) = conduit() {
        power::off(conduit);
    }
    console::print(format_args!("this machine cannot be powered off: halted\n"));
    cpu::halt()
}
