//! What every attack works with: who it is, what it was told, and how it says what became of it.

use alloc::string::String;
use core::fmt::{self, Write};

use elone::Platform;
use elone::gate::{Level, Protection, Protections, calls};

use crate::code;

/// An attack. It faults, or returns what came of it.
pub(crate) type Attack = fn(&Scene) -> Outcome;

/// What came of an attack that did not fault.
pub(crate) enum Outcome {
    /// It got what it wanted, and has seen that it did.
    Survived,
    /// It was refused, or found nothing; the words say by what.
    Stopped(String),
    /// It did not attack yet: it has said what the next boot is to be told.
    Told,
    /// What it takes is not there.
    NotMade(&'static str),
}

/// Who attacks, and what he was told.
pub(crate) struct Scene {
    platform: Platform,
}

impl Scene {
    pub(crate) const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// Whether this runs at EL0.
    pub(crate) fn is_contained(&self) -> bool {
        self.platform.machine().application_at == Level::El0
    }

    /// What is in force, as the kernel says.
    pub(crate) fn in_force(&self) -> Protections {
        self.platform.machine().protections
    }

    /// Whether this one is.
    pub(crate) fn has(&self, protection: Protection) -> bool {
        self.in_force().has(protection)
    }

    /// How often the application was started before.
    pub(crate) fn life(&self) -> u32 {
        self.platform.past().restarts
    }

    /// The latest fault's report.
    pub(crate) fn report(&self) -> &'static str {
        self.platform.past().report
    }

    /// What is to be attacked, as far as it was told: an address, or how far it is from a place in
    /// this program that everybody knows who knows the program.
    pub(crate) fn target(&self) -> Option<usize> {
        let near = self.number("offset").map(|offset| code::anchor().wrapping_add(offset));
        near.or_else(|| self.number("target"))
    }

    /// The number in the setting `app.NAME=0x…`.
    fn number(&self, name: &str) -> Option<usize> {
        let digits = self.platform.setting(name)?.strip_prefix("0x")?;
        usize::from_str_radix(digits, 16).ok()
    }
}

/// Writes to the console, past the log: a whole line in one call.
pub(crate) fn write(words: fmt::Arguments<'_>) {
    let mut line = String::new();
    // A string takes everything.
    let _infallible = writeln!(line, "{words}");
    calls::console_write(line.as_bytes());
}

/// Says a line.
macro_rules! say {
    ($($words:tt)*) => { $crate::scene::write(format_args!($($words)*)) };
}
pub(crate) use say;

/// Says what is about to be attacked.
pub(crate) fn target(address: usize) {
    say!("TARGET {address:#018x}");
}

/// Says that the attack came through, and ends: also for those who come here by a way that leads
/// nowhere else.
#[inline(never)]
pub(crate) extern "C" fn survived() -> ! {
    calls::console_write(b"SURVIVED\n");
    elone::exit(0)
}
