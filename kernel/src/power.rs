//! The machine's end.

use core::sync::atomic::{AtomicU8, Ordering};

use elone_hal::arch::core as cpu;
use elone_hal::arch::power;

use crate::console;
use crate::machine::Conduit;

/// How PSCI is reached: 0 not at all, 1 by `hvc`, 2 by `smc`. An atomic, so that a fault at any
/// time can still power the machine off.
static CONDUIT: AtomicU8 = AtomicU8::new(0);

/// From now on the machine can be powered off, if the device tree says how.
pub(crate) fn use_conduit(conduit: Option<Conduit>) {
    let number = match conduit {
        None => 0,
        Some(Conduit::Hvc) => 1,
        Some(Conduit::Smc) => 2,
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
/// one; then the power goes off. Where it cannot be switched off, the core sleeps for good.
pub(crate) fn end(status: u8) -> ! {
    cpu::mask_interrupts();
    console::emergency(format_args!("exit status {status}\n"));
    if let Some(conduit) = conduit() {
        power::off(conduit);
    }
    console::emergency(format_args!("this machine cannot be powered off: halted\n"));
    cpu::halt()
}
