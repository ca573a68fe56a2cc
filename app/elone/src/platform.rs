//! What `main` is given: everything that the machine has.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use elone_gate::{GpioLine, MachineInfo, Past, Start, calls};
use embassy_executor::Spawner;

use crate::console::Console;
use crate::net::NetBuilder;
use crate::restored::Restored;
use crate::storage::Disk;
use crate::time::Duration;
use crate::{Error, gpio, run, signals};

/// The machine, as the application sees it. A handle: copies are the same machine.
#[derive(Clone, Copy)]
pub struct Platform {
    start: &'static Start,
    spawner: Option<Spawner>,
}

impl Platform {
    pub(crate) fn new(start: &'static Start) -> Self {
        Self { start, spawner: run::spawner() }
    }

    /// What the machine is: board, core, levels, hypervisor, memory.
    #[must_use]
    pub const fn machine(&self) -> &'static MachineInfo {
        &self.start.machine
    }

    /// What became of earlier starts: how often the application was started again, and the latest
    /// fault's report. The report holds what the application said, so it is text to be shown, with
    /// care, and nothing to be believed.
    #[must_use]
    pub const fn past(&self) -> &'static Past {
        &self.start.past
    }

    /// How the operator wants the network to be set up: the setting `ip=`.
    #[must_use]
    pub const fn network(&self) -> elone_gate::Network {
        self.start.network
    }

    /// The value of the setting `app.NAME=VALUE`, as it came; the last one counts.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&'static str> {
        self.start.setting(name)
    }

    /// The first network interface, to be configured.
    pub const fn net(&self) -> NetBuilder {
        NetBuilder::new(0, self.start)
    }

    /// The `index`-th network interface, counted from 0, to be configured.
    pub const fn net_at(&self, index: u8) -> NetBuilder {
        NetBuilder::new(index, self.start)
    }

    /// Claims the `index`-th disk, counted from 0.
    ///
    /// # Errors
    /// [`elone_gate::Error::NoSuchDevice`], [`elone_gate::Error::Claimed`].
    pub fn disk(&self, index: u8) -> Result<Disk, Error> {
        Disk::claim(index)
    }

    /// Claims a line of the `controller`-th GPIO controller, counted from 0 in the order of the device
    /// tree. The operator says which lines the application may have (the setting `gpio=`).
    ///
    /// # Errors
    /// [`elone_gate::Error::NoSuchDevice`], [`elone_gate::Error::Claimed`].
    pub fn gpio(&self, controller: u8, line: u8) -> Result<gpio::Line, Error> {
        gpio::Line::claim(GpioLine { controller, line })
    }

    /// The console.
    #[must_use]
    pub const fn console(&self) -> Console {
        Console(())
    }

    /// Starts a task, which runs beside this one until it ends or `main` does.
    ///
    /// Its memory comes from the heap and is not given back when it ends: it is for tasks that last.
    /// Where tasks come and go, let a fixed number of them take turns.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        run::spawn(future);
    }

    /// Starts tasks that [`macro@crate::task`] set memory aside for. `None` outside of `main`'s run.
    #[must_use]
    pub const fn spawner(&self) -> Option<Spawner> {
        self.spawner
    }

    /// Waits until the machine's owner asks the application to end (a power button, a word on the
    /// console). It is asked once, and from then on this does not wait any more, in any task. The
    /// application then has [`time_left`](Self::time_left) to return from `main`.
    pub async fn shutdown(&self) {
        poll_fn(|context| signals::poll_shutdown(context)).await;
    }

    /// Waits until the machine may have been restored from a snapshot, of which there may be other
    /// copies: what was unique or secret before may be neither any more. Keys, identifiers and
    /// sessions are to be made anew; [`entropy`](crate::entropy) is renewed already, and so are the
    /// network's secrets. Connections are mostly gone.
    ///
    /// Some machines cannot tell a restore from a pause; then this comes after long pauses too.
    pub fn restored(&self) -> Restored {
        Restored::from_now_on()
    }

    /// What `work` comes to; `None` where the machine's owner asks for the end before. The work is
    /// then dropped.
    pub async fn until_shutdown<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => signals::poll_shutdown(context).map(|()| None),
        })
        .await
    }

    /// How long the application may still run: the setting `shutdown=`, counted from when it was
    /// told that it is to end. What is not over by then is cut off, and the machine ends with status
    /// 102. `None` where nobody has asked for the end.
    ///
    /// An application that was busy when it was asked has had a part of its time already, which is
    /// not known here: do not use the last second of it.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let passed = calls::now().0.saturating_sub(signals::ending_since()?.0);
        let all = Duration::from_secs(self.start.shutdown_time().into());
        let passed = Duration::from_micros(passed / 1_000);
        Some(all.checked_sub(passed).unwrap_or(Duration::MIN))
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").field("start", self.start).finish_non_exhaustive()
    }
}
