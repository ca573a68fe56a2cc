//! The executor's loop: the one place where the application sleeps.
//!
//! A turn is: what arrived is let in, tasks that are awake run, what they want to send goes out,
//! and then the core sleeps until an event or the nearest deadline. Everything that a turn brings
//! in is handed on together, and everything that it sends leaves together, so the work at the
//! border is paid once a turn, not once a packet.
#![expect(unsafe_code, reason = "the executor's poll and the symbol by which it reports a wake-up")]

use core::cell::{Cell, RefCell};

use alloc::boxed::Box;
use alloc::vec::Vec;
use elone_gate::{Events, Nanoseconds, Start, calls};
use embassy_executor::Spawner;
use embassy_executor::raw::{Executor, TaskStorage};

use crate::restored::{self, Restores};
use crate::signals::{self, Signals};
use crate::{Platform, timers};

/// Something that takes part in every turn, because the outside world acts on it.
///
/// Both calls come from the loop itself, never from within a task, and must not run one: they wake.
pub(crate) trait Source {
    /// Lets in what `events` announces, before tasks run.
    fn arrive(&self, events: Events);

    /// Sends what tasks left to be sent; says when it wants its next turn, events or none.
    fn depart(&self) -> Option<Nanoseconds>;
}

local! {
    /// Whether a task woke since the last poll began.
    static AWAKE: Cell<bool> = Cell::new(false);
}
local! {
    static SOURCES: RefCell<Vec<&'static dyn Source>> = RefCell::new(Vec::new());
}
local! {
    static SPAWNER: Cell<Option<Spawner>> = Cell::new(None);
}

/// Adds a source, from the next turn on, for good.
pub(crate) fn add(source: &'static dyn Source) {
    SOURCES.with(|sources| sources.borrow_mut().push(source));
}

/// Called by the executor when a task wakes while no other was awake: from a task, or from
/// [`Source::arrive`]. It must not poll; the loop sees the mark before it sleeps.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    AWAKE.with(|awake| awake.set(true));
}

/// Runs `main` until `status` is there, and returns it.
pub(crate) fn until<M>(start: &'static Start, status: &'static Cell<Option<u8>>, main: M) -> u8
where
    M: AsyncFnOnce(Platform) + 'static,
{
    SOURCES.with(|sources| sources.borrow_mut().clear());
    signals::reset();
    restored::reset();
    add(&Signals);
    add(&Restores);
    let executor: &'static Executor = Box::leak(Box::new(Executor::new(core::ptr::null_mut())));
    let spawner = executor.spawner();
    SPAWNER.with(|place| place.set(Some(spawner)));
    spawn(async move { main(Platform::new(start)).await });

    let mut events = Events::NONE;
    loop {
        each_source(|source| source.arrive(events));
        timers::wake_expired();
        AWAKE.with(|awake| awake.set(false));
        // SAFETY: `poll` must not be entered while it runs. This is its only caller, and nothing that
        // runs inside it (tasks, and `pender` by their wake-ups) calls this function.
        unsafe { executor.poll() };
        if let Some(status) = status.get() {
            each_source(|source| _ = source.depart());
            return status;
        }

        let mut deadline = timers::next();
        each_source(|source| deadline = earlier(deadline, source.depart()));
        // A task that woke during the poll, or while things departed, runs in the next turn, which
        // must not wait: a deadline in the past only collects events.
        if AWAKE.with(Cell::get) {
            deadline = Some(Nanoseconds(0));
        }
        events = calls::wait(deadline);
    }
}

fn each_source(mut visit: impl FnMut(&'static dyn Source)) {
    SOURCES.with(|sources| sources.borrow().iter().for_each(|&source| visit(source)));
}

/// The earlier of two deadlines, either of which may be none.
pub(crate) fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
    }
}

/// The spawner of this application's executor; `None` before it runs.
pub(crate) fn spawner() -> Option<Spawner> {
    SPAWNER.with(Cell::get)
}

/// Starts a task whose memory comes from the heap, and stays taken when the task has ended.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    let storage: &'static TaskStorage<_> = Box::leak(Box::new(TaskStorage::new()));
    // New storage holds no task, so this never finds it busy.
    if let (Ok(token), Some(spawner)) = (storage.spawn(|| future), spawner()) {
        spawner.spawn(token);
    }
}
