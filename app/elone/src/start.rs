//! From the kernel's call to the application's `main` and back.

use core::cell::Cell;
use core::fmt::Display;

use alloc::boxed::Box;
use elone_gate::Start;

use crate::{Platform, heap, run};

/// What `main` may return.
#[diagnostic::on_unimplemented(
    message = "`main` cannot return `{Self}`",
    note = "return `()` or `Result<(), E>` where `E: Display`"
)]
pub trait Outcome {
    /// The machine's exit status: 0 for success. An error is logged on the way.
    fn status(self) -> u8;
}

impl Outcome for () {
    fn status(self) -> u8 {
        0
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn status(self) -> u8 {
        match self {
            Ok(()) => 0,
            Err(error) => {
                log::error!(target: "app", "{error}");
                1
            }
        }
    }
}

/// Runs an application to its end; returns its exit status. For the code that `#[elone::main]`
/// generates.
///
/// Tasks that still run when `main` returns are not run any further.
pub fn run<M, R>(start: &'static Start, main: M) -> u8
where
    M: AsyncFnOnce(Platform) -> R + 'static,
    R: Outcome + 'static,
{
    // Joined, the kernel's own logger is there already.
    #[cfg(any(elone_contained, not(target_os = "none")))]
    crate::logger::install(start.verbosity);
    heap::claim(start);
    // Leaked: it ends with the machine, and a task needs what lives as long as the program.
    let status: &'static Cell<Option<u8>> = Box::leak(Box::new(Cell::new(None)));
    run::until(start, status, async move |platform| {
        status.set(Some(main(platform).await.status()));
    })
}
