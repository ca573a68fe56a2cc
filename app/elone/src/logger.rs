//! Where `info!` and its kin go when nobody else has said.
//!
//! Joined with the kernel they go to the kernel's logger, which is set before the application
//! starts. Elsewhere they go to this one, which writes the same lines over the gate.

use core::fmt::Write;

use elone_gate::{Verbosity, calls};
use log::{LevelFilter, Log, Metadata, Record};

use crate::line::Line;

/// Longer lines are cut. One line is one call, so that lines never mix.
const LONGEST_LINE: usize = 256;

struct Logger;

/// Sets the logger, unless the kernel or a test has set one.
pub(crate) fn install(verbosity: Verbosity) {
    if log::set_logger(&Logger).is_ok() {
        let levels = [
            LevelFilter::Off,
            LevelFilter::Error,
            LevelFilter::Warn,
            LevelFilter::Info,
            LevelFilter::Debug,
        ];
        let level = levels.get(usize::from(verbosity.0)).copied();
        log::set_max_level(level.unwrap_or(LevelFilter::Trace));
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let microseconds = calls::now().0 / 1_000;
        let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
        let mut line = Line::<LONGEST_LINE>::new();
        // A line that is too long is cut, which is all that an error could say.
        let _ = write!(
            line,
            "[{seconds:5}.{fraction:06}] {:5} {}: {}",
            record.level(),
            record.target().split(':').next().unwrap_or_default(),
            record.args()
        );
        calls::console_write(line.ended());
    }

    fn flush(&self) {}
}
