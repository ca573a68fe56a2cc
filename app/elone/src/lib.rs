//! What an Elone application is written against: `#[elone::main]`, an executor that sleeps when
//! there is nothing to do, time, the network, disks, entropy and the console, all of it async and
//! all of it over the calls of [`gate`] and nothing else.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//!
//! use elone::{Platform, info};
//!
//! #[elone::main]
//! async fn main(platform: Platform) -> Result<(), elone::Error> {
//!     let net = platform.net().configured().await?;
//!     let listener = net.bind(7).await?;
//!     info!("listening on {}:7", net.address());
//!     loop {
//!         let (peer, mut socket) = listener.accept().await?;
//!         if let Err(error) = elone::copy::back(&mut socket, &mut [0; 1024]).await {
//!             info!("{peer} left early: {error:?}");
//!         }
//!     }
//! }
//! ```
//!
//! Everything runs on one core, in one stack, one task at a time, so nothing here is `Send`, and
//! nothing takes a lock. The same source runs at EL1 joined with the kernel, at EL0 contained by it,
//! and on the developer's machine, where [`host`] answers the gate's calls.
#![no_std]

extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

// The provider line: who answers the gate's calls. Here the kernel itself, linked into the image;
// contained, the stubs of `contained`; on the developer's machine, `host`.
#[cfg(all(target_os = "none", not(elone_contained)))]
extern crate elone_kernel as _;

#[macro_use]
mod local;

pub mod console;
#[cfg(all(target_os = "none", elone_contained))]
mod contained;
pub mod copy;
pub mod entropy;
mod error;
pub mod gpio;
pub mod heap;
#[cfg(not(target_os = "none"))]
pub mod host;
#[cfg(any(elone_contained, not(target_os = "none")))]
mod line;
#[cfg(any(elone_contained, not(target_os = "none")))]
mod logger;
pub mod net;
mod platform;
mod restored;
mod run;
mod shared;
mod signals;
pub mod start;
pub mod storage;
mod ticker;
pub mod time;
mod timers;
mod wakers;

/// The calls beneath it all, and the data that they pass.
pub use elone_gate as gate;
pub use elone_macros::{main, task};
/// The executor's types: `Spawner`, tokens; [`macro@task`] expands to its macro.
pub use embassy_executor as executor;
pub use error::Error;
pub use log::{self, debug, error, info, trace, warn};
pub use platform::Platform;
pub use restored::Restored;

/// Ends the application at once: 0 means that all is well. Tasks are not run to their end and
/// nothing is flushed; returning from `main` is the polite way.
pub fn exit(status: u8) -> ! {
    gate::calls::exit(status)
}

/// The date, from the best clock that the machine has. A second after a pause, or a restore from a
/// snapshot, it is right again; so it may jump, to and fro. For what must not, there is [`time`].
///
/// # Errors
/// [`gate::Error::NoClock`] where the machine has none.
pub fn wall_clock() -> Result<gate::UnixTime, Error> {
    Ok(gate::calls::wall_clock()?)
}

/// For how long, in all, the hypervisor has let others run while this machine could have run.
///
/// # Errors
/// [`gate::Error::Unsupported`] where it does not say.
pub fn stolen_time() -> Result<gate::Nanoseconds, Error> {
    Ok(gate::calls::stolen_time()?)
}

/// Keeps `value` for the life of the application, so that tasks can share it. Its memory is not
/// given back: for what is made once.
#[must_use]
pub fn forever<T>(value: T) -> &'static T {
    alloc::boxed::Box::leak(alloc::boxed::Box::new(value))
}
