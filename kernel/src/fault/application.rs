//! Faults of an application that is contained: the kernel is as sound as before, reports them, and
//! goes on.

use core::ops::Range;
use core::sync::atomic::Ordering;

use elone_gate::abi;
use elone_hal::arch::exception::{Frame, Kind};

use super::{DECIDED, REPORTS, SAID, begin, level, tell};
use crate::policy::{Answer, Culprit};
use crate::report::{self, Report};
use crate::trap::Trap;
use crate::{blackbox, console, power};

/// What an application did, or what it did not do any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Something that the core refused, or that came while it ran.
    Exception(Kind),
    /// It does not wait.
    Hang,
}

/// An application's fault.
#[derive(Debug)]
pub(crate) struct ApplicationFault<'a> {
    /// The application's registers; what the core says of the fault, if it was one of the core's.
    pub(crate) frame: &'a Frame,
    /// What happened.
    pub(crate) cause: Cause,
    /// The application's build.
    pub(crate) build_id: &'a [u8],
    /// Where the application's image begins.
    pub(crate) base: u64,
    /// Where it was, innermost first.
    pub(crate) backtrace: &'a [u64],
    /// What is unmapped below its stack.
    pub(crate) stack_guard: Range<u64>,
}

/// Reports an application's fault. Returns only if it is to be started again; otherwise the machine
/// ends or restarts.
pub(crate) fn application(fault: &ApplicationFault<'_>) {
    let besides = begin();
    let answer = report(fault, besides);
    if answer != Answer::RestartApplication {
        power::follow(answer);
    }
    let restart = blackbox::with_past(|restarts, _, _| restarts);
    console::print(format_args!("restarting the application (restart {restart})\n"));
    forget();
}

fn report(fault: &ApplicationFault<'_>, besides: Option<&str>) -> Answer {
    let frame = fault.frame;
    let said = SAID.try_lock();
    let report = Report {
        cause: fault.cause(),
        syndrome: (frame.esr, frame.far),
        elr: frame.elr,
        spsr: frame.spsr,
        level: level(frame.spsr),
        besides,
        said: said.as_ref().map_or("", |said| said.as_str()),
        registers: Some((&frame.x, frame.sp)),
        program: "application",
        build: fault.build_id,
        base: fault.base,
        backtrace: fault.backtrace,
    };
    tell(&report, fault.culprit())
}

impl ApplicationFault<'_> {
    /// An error that comes late may be one of the kernel's own accesses, made before the application
    /// ran: nobody knows, so it is not survived.
    const fn culprit(&self) -> Culprit {
        match self.cause {
            Cause::Exception(Kind::SError) => Culprit::Machine,
            _ => Culprit::Application,
        }
    }

    fn cause(&self) -> report::Cause {
        match self.cause {
            Cause::Hang => report::Cause::Hang,
            Cause::Exception(Kind::SError) => report::Cause::Late,
            Cause::Exception(Kind::Irq | Kind::Fiq) => report::Cause::Uninvited,
            Cause::Exception(Kind::Synchronous) => {
                match Trap::decode(self.frame.esr, self.frame.far) {
                    Trap::Breakpoint(abi::PANIC) => report::Cause::Panic,
                    trap => report::Cause::of(trap, |address| {
                        self.stack_guard.contains(&address).then_some("the stack")
                    }),
                }
            }
        }
    }
}

/// The fault is dealt with: the next one is another.
fn forget() {
    if let Some(mut said) = SAID.try_lock() {
        said.clear();
    }
    if let Some(mut decided) = DECIDED.try_lock() {
        *decided = None;
    }
    REPORTS.store(0, Ordering::Relaxed);
}
