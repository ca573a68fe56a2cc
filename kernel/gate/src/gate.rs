//! The trait. Its docs are the contract; see the crate's for the calling context.

use crate::{
    BlockCompletion, BlockRequest, BufferId, DeviceClass, DeviceInfo, Error, Events, Frame,
    GpioLevel, GpioLine, GpioOperation, Handle, Nanoseconds, Sent, UnixTime,
};

/// All that an application can ask of the kernel. One implementer a link; [`provide!`] exports it.
///
/// [`provide!`]: crate::provide
pub trait Gate: Sync {
    /// Ends the application. 0 means that all is well. The machine is then powered off and
    /// `status` arrives at whoever started it. Never fails.
    fn exit(&self, status: u8) -> !;

    /// The time since the machine's start. Never fails, never goes back.
    fn now(&self) -> Nanoseconds;

    /// The date, from the best clock that the machine has. It is asked for the date again while the
    /// machine runs, at most once a second: so a second after a pause, or a restore from a snapshot,
    /// the date is right again. It may then have gone forward or back by any amount; what must not
    /// go back is [`now`](Self::now). The clock may be no finer than a second, and is then followed
    /// only where it is off by more than two.
    ///
    /// # Errors
    /// [`Error::NoClock`] where the machine has none, or none that says anything sensible; that does
    /// not change while it runs.
    fn wall_clock(&self) -> Result<UnixTime, Error>;

    /// Sleeps until something happens or `deadline` passes; without one, until something happens.
    /// Returns at once what happened since the last call. A device's event says that it has
    /// something: drain it until it says it has no more, as it may not be told twice.
    /// Never fails; may return nothing ([`Events::NONE`]), or the passing of an earlier call's deadline:
    /// look at the clock.
    fn wait(&self, deadline: Option<Nanoseconds>) -> Events;

    /// Writes to the console all of `bytes`. Where there is no console they are dropped: a
    /// machine without one works all the same.
    fn console_write(&self, bytes: &[u8]);

    /// Takes what arrived on the console, at most `bytes.len()`; returns how much that was. Until
    /// the first call nothing is kept, so a machine whose application never reads is not kept
    /// awake. [`Events::CONSOLE`] says when there is more.
    fn console_read(&self, bytes: &mut [u8]) -> usize;

    /// Fills `bytes` from the kernel's generator, seeded from every source that the machine has.
    ///
    /// # Errors
    /// [`Error::NoEntropy`] where the machine has no source at all.
    fn entropy(&self, bytes: &mut [u8]) -> Result<(), Error>;

    /// Claims the `index`-th device of a class, counted from 0 in the order of the device tree's
    /// addresses, for the life of the application.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`], [`Error::Claimed`].
    fn device(&self, class: DeviceClass, index: u8) -> Result<DeviceInfo, Error>;

    /// Sends frames, in order, and takes back buffers whose frames have left.
    ///
    /// With no frames it only takes back. The device's event says when to try again after it took
    /// fewer than it was given.
    ///
    /// # Errors
    /// [`Error::BadHandle`]; [`Error::BadBuffer`] and [`Error::OutOfRange`] (a frame under 14
    /// bytes or larger than the buffer) before anything is sent; [`Error::Broken`].
    fn net_send(
        &self,
        handle: Handle,
        frames: &[Frame],
        free: &mut [BufferId],
    ) -> Result<Sent, Error>;

    /// Hands `empty` buffers to the device to be filled, then takes frames that arrived; returns
    /// how many. Their buffers are the application's until it hands them back, here or in
    /// [`net_send`](Self::net_send).
    ///
    /// # Errors
    /// [`Error::BadHandle`]; [`Error::BadBuffer`] before any buffer is taken; [`Error::Broken`].
    fn net_receive(
        &self,
        handle: Handle,
        empty: &[BufferId],
        frames: &mut [Frame],
    ) -> Result<usize, Error>;

    /// Starts a request on a disk. Requests may complete in any order.
    ///
    /// # Errors
    /// [`Error::BadHandle`], [`Error::BadBuffer`], [`Error::OutOfRange`] (sectors the disk does
    /// not have, a length that is no multiple of 512 or 0), [`Error::Unsupported`] (a write to a
    /// read-only disk), [`Error::Full`], [`Error::Broken`].
    fn block_submit(&self, handle: Handle, request: BlockRequest) -> Result<(), Error>;

    /// Takes requests that are complete; returns how many.
    ///
    /// # Errors
    /// [`Error::BadHandle`], [`Error::Broken`].
    fn block_complete(
        &self,
        handle: Handle,
        completions: &mut [BlockCompletion],
    ) -> Result<usize, Error>;

    /// Says something that belongs into a fault report: an application's last words. Never fails;
    /// what is over 512 bytes is cut, and line ends are shown as `\n`.
    fn report(&self, words: &str);

    /// For how long, in all, the hypervisor has let others run while this machine could have run.
    /// Only grows, unless the machine is restored from a snapshot.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the hypervisor does not say; that does not change while it runs.
    fn stolen_time(&self) -> Result<Nanoseconds, Error>;

    /// Does something with a line of a GPIO controller, one that the operator has granted (the setting
    /// `gpio=`); returns what the line is then. It is claimed first, once, for the life of the
    /// application; when that ends it becomes an input.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`] for a line that is not there, or not granted, and for every line where
    /// the application does not run on a machine; [`Error::Claimed`]; [`Error::BadHandle`] for one
    /// that was not claimed; [`Error::Unsupported`] for what no line does.
    fn gpio(&self, _line: GpioLine, _operation: GpioOperation) -> Result<GpioLevel, Error> {
        Err(Error::NoSuchDevice)
    }
}
