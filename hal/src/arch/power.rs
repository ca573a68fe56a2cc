//! Calls to whoever is below: power (PSCI 1.1) and randomness (SMCCC 1.4).

use core::fmt;

use smccc::{Hvc, Smc, psci};

use super::attempt;

/// The instruction that reaches whoever is below. The device tree says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// `hvc`, answered at EL2.
    Hvc,
    /// `smc`, answered at EL3 (or by a hypervisor that traps it).
    Smc,
}

impl fmt::Display for Conduit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hvc => "hvc",
            Self::Smc => "smc",
        })
    }
}

/// Why a conduit is of no use. Do not use it: no call by it does anything, or none that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConduitError {
    /// The instruction does not exist here: nobody is below.
    Traps,
    /// Whoever is below does not know PSCI, and says so with this.
    Refuses(i32),
}

impl fmt::Display for ConduitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Traps => f.write_str("traps"),
            Self::Refuses(answer) => {
                write!(f, "is answered, but by nobody who knows PSCI ({answer})")
            }
        }
    }
}

/// Tries a conduit with the one call that does no harm and that everybody answers who is called by
/// PSCI 0.2 or later (PSCI 1.1, section 5.1.1).
///
/// # Errors
/// See [`ConduitError`].
pub fn try_out(conduit: Conduit) -> Result<(), ConduitError> {
    const PSCI_VERSION: u32 = 0x8400_0000;
    let answer = attempt::call(conduit, PSCI_VERSION).ok_or(ConduitError::Traps)?;
    #[expect(clippy::cast_possible_truncation, reason = "a call of 32 bits")]
    match answer as i32 {
        error @ ..=0 => Err(ConduitError::Refuses(error)),
        _ => Ok(()),
    }
}

/// Powers the machine off. Returns only if that was refused.
pub fn off(conduit: Conduit) {
    let _refused = match conduit {
        Conduit::Hvc => psci::system_off::<Hvc>(),
        Conduit::Smc => psci::system_off::<Smc>(),
    };
}

/// Restarts the machine. Returns only if that was refused.
pub fn reset(conduit: Conduit) {
    let _refused = match conduit {
        Conduit::Hvc => psci::system_reset::<Hvc>(),
        Conduit::Smc => psci::system_reset::<Smc>(),
    };
}

/// Whether whoever is below answers a call that it does not know as SMCCC asks, and does not take
/// it for a fault: known from version 1.0 of PSCI on.
fn refuses_in_order(conduit: Conduit) -> bool {
    let version = match conduit {
        Conduit::Hvc => psci::version::<Hvc>(),
        Conduit::Smc => psci::version::<Smc>(),
    };
    version.is_ok_and(|version| version.major >= 1)
}

/// 192 bits from firmware's generator (Arm True Random Number Generator Firmware Interface 1.0);
/// `None` where there is none or it has nothing now.
#[must_use]
pub fn random(conduit: Conduit) -> Option<[u64; 3]> {
    const TRNG_VERSION: u32 = 0x8400_0050;
    const TRNG_RND64: u32 = 0xc400_0053;
    if !refuses_in_order(conduit) {
        return None;
    }
    let version = call(conduit, TRNG_VERSION)[0];
    if version & 1 << 31 != 0 || version < 0x1_0000 {
        return None;
    }
    let mut arguments = [0; 17];
    arguments[0] = 192;
    let answer = match conduit {
        Conduit::Hvc => smccc::hvc64(TRNG_RND64, arguments),
        Conduit::Smc => smccc::smc64(TRNG_RND64, arguments),
    };
    (answer[0] == 0).then_some([answer[1], answer[2], answer[3]])
}

fn call(conduit: Conduit, function: u32) -> [u32; 4] {
    let [a, b, c, d, ..] = match conduit {
        Conduit::Hvc => smccc::hvc32(function, [0; 7]),
        Conduit::Smc => smccc::smc32(function, [0; 7]),
    };
    [a, b, c, d]
}
