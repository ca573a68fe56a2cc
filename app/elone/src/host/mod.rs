//! Whole applications on the developer's machine.
//!
//! Here the standard library answers the gate's calls, and the same application source becomes a
//! program, or runs in a thread of a test. Time is real; the other end of its network is a
//! [`Cable`] in the test's hands; its disks are files or bytes.
//!
//! ```
//! use elone::host::Machine;
//!
//! let status = Machine::new("app.who=world").run(async |platform: elone::Platform| {
//!     assert_eq!(platform.setting("who"), Some("world"));
//! });
//! assert_eq!(status, 0);
//! ```

mod cable;
mod disk;
mod gate;
mod machine;
mod net;
mod settings;

use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::string::String;
use std::vec::Vec;

use elone_gate::Start;

pub use cable::{Cable, Faults, Plug};
pub use disk::Image;
#[cfg(test)]
pub(crate) use gate::area;
pub use machine::{Control, Machine, Sleeps};

/// What a machine ends with after a fault that is not answered by a restart.
const PANICKED: u8 = 101;

/// Runs `application` as a program: its arguments are the settings, its standard input and output
/// the console, its exit status the application's, 101 where it panics. It has no devices.
pub fn program(application: fn(&'static Start) -> u8) -> i32 {
    let settings: Vec<String> = std::env::args().skip(1).collect();
    let machine = Machine::new(&settings.join(" "));
    let control = machine.control();
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(length @ 1..) = std::io::stdin().read(&mut bytes) {
            control.type_in(&bytes[..length]);
        }
    });
    // Its caller is not Rust's, so no panic may leave; that there was one has been said already.
    let status = panic::catch_unwind(AssertUnwindSafe(|| machine.start(application)));
    i32::from(status.unwrap_or(PANICKED))
}
