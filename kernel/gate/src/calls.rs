//! The calls as functions, for the application's side, and the symbols that join the two sides.
//!
//! The symbols are the link-time seam: [`provide!`](crate::provide) defines them once an image.
#![expect(unsafe_code, reason = "symbols that the other side of the link defines")]

use crate::{
    BlockCompletion, BlockRequest, BufferId, DeviceClass, DeviceInfo, Error, Events, Frame,
    GpioLevel, GpioLine, GpioOperation, Handle, Nanoseconds, Sent, Start, UnixTime,
};

/// Declares each call's symbol, wraps it as a function, and writes the macro that defines it.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident as $symbol:ident
       ($($argument:ident: $type:ty),*) -> $return:ty;)*) => {
        // SAFETY: `provide!` defines each symbol with just this signature; a link without it fails.
        unsafe extern "Rust" {
            $(safe fn $symbol($($argument: $type),*) -> $return;)*
        }

        $(
            $(#[$doc])*
            #[inline]
            pub fn $name($($argument: $type),*) -> $return {
                $symbol($($argument),*)
            }
        )*
    };
}

calls! {
    /// [`Gate::exit`](crate::Gate::exit).
    exit as __elone_exit(status: u8) -> !;
    /// [`Gate::now`](crate::Gate::now).
    now as __elone_now() -> Nanoseconds;
    /// [`Gate::wall_clock`](crate::Gate::wall_clock).
    wall_clock as __elone_wall_clock() -> Result<UnixTime, Error>;
    /// [`Gate::wait`](crate::Gate::wait).
    wait as __elone_wait(deadline: Option<Nanoseconds>) -> Events;
    /// [`Gate::console_write`](crate::Gate::console_write).
    console_write as __elone_console_write(bytes: &[u8]) -> ();
    /// [`Gate::console_read`](crate::Gate::console_read).
    console_read as __elone_console_read(bytes: &mut [u8]) -> usize;
    /// [`Gate::entropy`](crate::Gate::entropy).
    entropy as __elone_entropy(bytes: &mut [u8]) -> Result<(), Error>;
    /// [`Gate::device`](crate::Gate::device).
    device as __elone_device(class: DeviceClass, index: u8) -> Result<DeviceInfo, Error>;
    /// [`Gate::net_send`](crate::Gate::net_send).
    net_send as __elone_net_send(handle: Handle, frames: &[Frame], free: &mut [BufferId])
        -> Result<Sent, Error>;
    /// [`Gate::net_receive`](crate::Gate::net_receive).
    net_receive as __elone_net_receive(handle: Handle, empty: &[BufferId], frames: &mut [Frame])
        -> Result<usize, Error>;
    /// [`Gate::block_submit`](crate::Gate::block_submit).
    block_submit as __elone_block_submit(handle: Handle, request: BlockRequest)
        -> Result<(), Error>;
    /// [`Gate::block_complete`](crate::Gate::block_complete).
    block_complete as __elone_block_complete(
        handle: Handle, completions: &mut [BlockCompletion]) -> Result<usize, Error>;
    /// [`Gate::report`](crate::Gate::report).
    report as __elone_report(words: &str) -> ();
    /// [`Gate::stolen_time`](crate::Gate::stolen_time).
    stolen_time as __elone_stolen_time() -> Result<Nanoseconds, Error>;
    /// [`Gate::gpio`](crate::Gate::gpio).
    gpio as __elone_gpio(line: GpioLine, operation: GpioOperation) -> Result<GpioLevel, Error>;
}

// SAFETY: `#[elone::main]` defines the symbol with just this signature; a link without it fails.
unsafe extern "Rust" {
    safe fn __elone_application(start: &'static Start) -> u8;
}

/// Runs the application to its end; returns its exit status. For the kernel, once.
pub fn application(start: &'static Start) -> u8 {
    __elone_application(start)
}

/// Makes `$gate`, a place of a type that is [`Gate`](crate::Gate), answer the calls of this image.
///
/// ```ignore
/// elone_gate::provide!(PLATFORM: Platform);
/// ```
#[macro_export]
macro_rules! provide {
    ($gate:path) => {
        #[expect(unsafe_code, reason = "the symbols of the gate, defined once an image")]
        mod gate_symbols {
            use $crate::{
                BlockCompletion, BlockRequest, BufferId, DeviceClass, DeviceInfo, Error, Events,
                Frame, Gate, GpioLevel, GpioLine, GpioOperation, Handle, Nanoseconds, Sent,
                UnixTime,
            };
            #[unsafe(no_mangle)]
            fn __elone_exit(status: u8) -> ! {
                $gate.exit(status)
            }
            #[unsafe(no_mangle)]
            fn __elone_now() -> Nanoseconds {
                $gate.now()
            }
            #[unsafe(no_mangle)]
            fn __elone_wall_clock() -> Result<UnixTime, Error> {
                $gate.wall_clock()
            }
            #[unsafe(no_mangle)]
            fn __elone_wait(deadline: Option<Nanoseconds>) -> Events {
                $gate.wait(deadline)
            }
            #[unsafe(no_mangle)]
            fn __elone_console_write(bytes: &[u8]) {
                $gate.console_write(bytes);
            }
            #[unsafe(no_mangle)]
            fn __elone_console_read(bytes: &mut [u8]) -> usize {
                $gate.console_read(bytes)
            }
            #[unsafe(no_mangle)]
            fn __elone_entropy(bytes: &mut [u8]) -> Result<(), Error> {
                $gate.entropy(bytes)
            }
            #[unsafe(no_mangle)]
            fn __elone_device(class: DeviceClass, index: u8) -> Result<DeviceInfo, Error> {
                $gate.device(class, index)
            }
            #[unsafe(no_mangle)]
            fn __elone_net_send(
                handle: Handle,
                frames: &[Frame],
                free: &mut [BufferId],
            ) -> Result<Sent, Error> {
                $gate.net_send(handle, frames, free)
            }
            #[unsafe(no_mangle)]
            fn __elone_net_receive(
                handle: Handle,
                empty: &[BufferId],
                frames: &mut [Frame],
            ) -> Result<usize, Error> {
                $gate.net_receive(handle, empty, frames)
            }
            #[unsafe(no_mangle)]
            fn __elone_block_submit(handle: Handle, request: BlockRequest) -> Result<(), Error> {
                $gate.block_submit(handle, request)
            }
            #[unsafe(no_mangle)]
            fn __elone_block_complete(
                handle: Handle,
                completions: &mut [BlockCompletion],
            ) -> Result<usize, Error> {
                $gate.block_complete(handle, completions)
            }
            #[unsafe(no_mangle)]
            fn __elone_report(words: &str) {
                $gate.report(words);
            }
            #[unsafe(no_mangle)]
            fn __elone_stolen_time() -> Result<Nanoseconds, Error> {
                $gate.stolen_time()
            }
            #[unsafe(no_mangle)]
            fn __elone_gpio(line: GpioLine, operation: GpioOperation) -> Result<GpioLevel, Error> {
                $gate.gpio(line, operation)
            }
        }
    };
}
