//! Contained: the application runs at EL0, in an address space of its own, and asks by `svc`.
//!
//! It has lives. In each it is laid out from its pristine image, somewhere else than in the one
//! before, entered, and served until it ends: by itself, which ends the machine, or by a fault, after which everything that it had is taken
//! back and, if policy says so, the next life begins. The kernel stays as it is.

mod calls;
mod chosen;
mod dice;
mod error;
mod layout;

use elone_gate::abi::Answer;
use elone_gate::handover::{self, Again};
use elone_gate::package::{Access, Package};
use elone_gate::{Error, Level, MemoryRanges};
use elone_hal::address::call_before;
use elone_hal::arch::exception::Frame;
use elone_hal::arch::tables::Mapper;
use elone_hal::arch::user::{self, Reason};
use heapless::Vec;

use crate::error::BootError;
use crate::fault::{self, ApplicationFault, Cause};
use crate::memory::{Memory, Rest};
use crate::platform::Platform;
use crate::policy;
use crate::{blackbox, interrupts, power, watchdog};
use calls::{Room, Served};
use dice::Dice;
pub(crate) use error::LoadError;
use layout::Layout;

/// Where the application runs.
pub(crate) const LEVEL: Level = Level::El0;

/// How many return addresses of a fault are reported.
const FRAMES: usize = 32;

/// The application, ready to run.
pub(crate) struct Application {
    package: Package<'static>,
    layout: Layout,
    frame: Frame,
    room: Room,
}

/// How a life ended.
enum End {
    /// The application said so, with this status.
    Exit(u8),
    /// It did what it must not do, or did not do what it must.
    Fault(Cause),
}

impl Application {
    /// Finds the application in the image, and the memory that it needs.
    pub(crate) fn load(memory: Memory) -> Result<(Self, Mapper), LoadError> {
        let image = elone_hal::arch::entry::application();
        let package = Package::read(image)?;
        let Rest { blocks, mapper } = memory.into_rest();
        let layout = Layout::new(&package, blocks, &mapper)?;
        let frame = user::first_frame(0, 0, [0; 2]);
        Ok((Self { package, layout, frame, room: Room::NEW }, mapper))
    }

    /// What is its alone: each life is told anew where.
    #[expect(clippy::unused_self, reason = "as of one that is joined, which has it here")]
    pub(crate) const fn heap(&self) -> MemoryRanges {
        MemoryRanges::NONE
    }

    /// Runs it, life after life, to its end; returns its exit status.
    pub(crate) fn run(mut self, platform: &'static Platform) -> u8 {
        let mut dice = Dice::default();
        loop {
            if let Err(error) = self.prepare(platform, &mut dice) {
                return BootError::Application(error).report();
            }
            match self.live() {
                End::Exit(status) => return status,
                End::Fault(cause) => {
                    let trace = self.backtrace();
                    fault::application(&ApplicationFault {
                        frame: &self.frame,
                        cause,
                        build_id: self.package.build_id(),
                        base: self.layout.base(),
                        backtrace: &trace,
                        stack_guard: self.layout.stack_guard(),
                    });
                    if let Err(error) = platform.take_back() {
                        // Some monitors cannot reset a device that was in use. Nothing is shared
                        // with one that may still write; the machine as a whole can begin again.
                        log::error!("a device does not come back: {error}");
                        power::follow(policy::Answer::RestartMachine);
                    }
                }
            }
        }
    }

    /// Lays it out, tells it what it is started with, and puts it at its beginning.
    fn prepare(&mut self, platform: &Platform, dice: &mut Dice) -> Result<(), LoadError> {
        self.layout.lay_out(&self.package, || dice.roll())?;
        let (start, counter) = (platform.start(), platform.counter());
        let heap = self.layout.heap();
        let length = blackbox::with_past(|restarts, faults, report| {
            // A report that does not fit is not worth a life.
            [report, ""].into_iter().find_map(|report| {
                let again = Again { heap: &heap, past: (restarts, faults, report) };
                self.layout.hand_over(|bytes| handover::encode_again(start, &again, counter, bytes))
            })
        });
        let arguments = [self.layout.handed_over(), length.ok_or(LoadError::Handover)? as u64];
        let (base, stack) = (self.layout.base(), self.layout.stack_pointer());
        self.frame = user::first_frame(base + self.package.entry(), stack, arguments);
        begins(base, &self.layout);
        Ok(())
    }

    /// Serves it until it ends.
    fn live(&mut self) -> End {
        let mut conspicuous = false;
        watchdog::kick();
        loop {
            match user::run(&mut self.frame) {
                Reason::Call => {
                    let [a, b, c, d, e, f, _, _, number, ..] = self.frame.x;
                    #[cfg(elone_attackable)]
                    if number == user::FOLLOW {
                        self.answer(Ok([user::follow(a), 0, 0, 0, 0]));
                        continue;
                    }
                    match calls::serve(
                        (number, [a, b, c, d, e, f]),
                        &mut self.layout,
                        &mut self.room,
                    ) {
                        Ok(Served::Answer(values)) => self.answer(Ok(values)),
                        Ok(Served::Exit(status)) => return End::Exit(status),
                        Err(error) => {
                            // Said once a life: whoever makes such calls may make very many.
                            if !conspicuous && no_safe_code_causes(error) {
                                conspicuous = true;
                                log::warn!("the application's call {number} is refused: {error}");
                            }
                            self.answer(Err(error));
                        }
                    }
                }
                Reason::Interrupt => {
                    interrupts::handle();
                    power::announce();
                    if watchdog::is_over() {
                        power::overdue();
                    }
                    if watchdog::is_hung() {
                        return End::Fault(Cause::Hang);
                    }
                }
                Reason::Fault(kind) => return End::Fault(Cause::Exception(kind)),
            }
        }
    }

    /// Puts an answer where the application looks for it.
    fn answer(&mut self, answer: Answer) {
        let (code, [a, b, c, d, e]) = match answer {
            Ok(values) => (0, values),
            Err(error) => (error as u64, [0; 5]),
        };
        let [x0, x1, x2, x3, x4, x5, ..] = &mut self.frame.x;
        (*x0, *x1, *x2, *x3, *x4, *x5) = (code, a, b, c, d, e);
    }

    /// Where the application was: the instruction, then its callers, as far as their records lie on
    /// its own memory and lead into its own text.
    fn backtrace(&self) -> Vec<u64, FRAMES> {
        let is_text = |address: u64| {
            let Some(address) = address.checked_sub(self.layout.base()) else { return false };
            let mut segments = self.package.segments();
            segments.any(|part| {
                part.access == Access::Text
                    && (part.address..part.address + part.memory).contains(&address)
            })
        };
        let (elr, [.., mut record, link]) = (self.frame.elr, self.frame.x);
        let mut trace = Vec::new();
        let _room = trace.push(elr);
        let is_caller = |address| is_text(call_before(address));
        if !is_text(elr) && is_caller(link) {
            let _room = trace.push(link); // a call into nowhere has no record of its own
        }
        while let Ok(found) = self.layout.regions().record(record) {
            let mut words = [0; 16];
            user::read(found.address(), &mut words);
            let [next, caller] = [0, 8].map(|at| {
                let word = words.get(at..at + 8).and_then(|word| word.try_into().ok());
                u64::from_le_bytes(word.unwrap_or_default())
            });
            if !is_caller(caller) || trace.push(caller).is_err() || next <= record {
                break;
            }
            record = next;
        }
        trace
    }
}

/// Says where a life begins. Debuggers stop here to learn it: the base is the first argument.
#[inline(never)]
fn begins(base: u64, layout: &Layout) {
    log::debug!("layout: the application's image at {base:#x}, {layout}");
}

/// Whether an error is one that an application in its right mind cannot meet.
const fn no_safe_code_causes(error: Error) -> bool {
    matches!(error, Error::BadPointer | Error::NoSuchCall)
}
