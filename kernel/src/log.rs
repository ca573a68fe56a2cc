//! The log: a line a record, on the console.

use core::fmt;

use log::{LevelFilter, Log, Metadata, Record};

use crate::clock::Clock;
use crate::console;

struct Logger;

static LOGGER: Logger = Logger;

/// What the kernel's own records are shown as.
const KERNEL: &str = "elone_kernel";

static CLOCK: spin::Once<Clock> = spin::Once::new();

/// From here on the log can be written to.
pub(crate) fn open() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// From here on records show the time, and only those of `level` and above are shown.
pub(crate) fn start(level: LevelFilter, clock: Clock) {
    CLOCK.call_once(|| clock);
    log::set_max_level(level);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let target = match record.target().split(':').next() {
            None | Some(KERNEL) => "kernel",
            Some(target) => target,
        };
        let (time, level) = (Time(CLOCK.get()), record.level());
        console::print(format_args!("[{time}] {level:<5} {target}: {}\n", record.args()));
    }

    fn flush(&self) {}
}

/// Seconds since the start, with microseconds; blank before there is a clock.
struct Time<'a>(Option<&'a Clock>);

impl fmt::Display for Time<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = self.0.map_or(0, |clock| clock.now().0 / 1_000);
        write!(f, "{:5}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
    }
}
