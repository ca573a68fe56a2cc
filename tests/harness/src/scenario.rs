//! A system test: one promise, kept on a virtual machine.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::{Board, HandOver, Hosts, Machine};

/// One promise. Its name is the promise's, its test the function.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// `area::promise`, from where the function stands.
    pub name: &'static str,
    /// Whether a quick run leaves it out.
    pub pace: Pace,
    /// In which modes the promise is made.
    pub modes: Modes,
    /// Keeps the promise, or says why not.
    pub run: fn(&Context) -> Result<()>,
}

/// How long a scenario takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A few seconds at most.
    Quick,
    /// Longer; `--quick` leaves it out.
    Long,
}

/// How application and kernel are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Linked together, both at EL1.
    Joined,
    /// Linked apart, the application at EL0.
    Contained,
}

/// The modes that a promise is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// It is kept in either mode, by the same test.
    Both,
    /// It is about this one alone.
    Only(Mode),
}

impl Modes {
    /// Whether `mode` is one of them.
    #[must_use]
    pub fn include(self, mode: Mode) -> bool {
        self == Self::Both || self == Self::Only(mode)
    }
}

/// Why a scenario was left out: an error by which it ends when this machine lacks what it takes.
/// It counts as skipped, neither as passed nor as failed.
#[derive(Clone, Debug)]
pub struct LeftOut(pub String);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LeftOut {}

/// Where images come from. Whoever runs scenarios builds them: all beforehand, or each when it is
/// first asked for.
pub trait Images: fmt::Debug + Send + Sync {
    /// The image of this application or tiny unikernel in this mode; the same name with `elf` at the
    /// end is the linker's output, and a contained application's own with `app.elf`.
    ///
    /// # Errors
    /// There is no such program, or it does not build.
    fn image(&self, name: &str, mode: Mode) -> Result<PathBuf>;

    /// The same, with the early facts of the board file `file` in place of the usual ones.
    ///
    /// # Errors
    /// As [`image`](Self::image); the file has no such facts.
    fn image_for(&self, file: &str, name: &str, mode: Mode) -> Result<PathBuf>;

    /// The program that boots images where firmware is UEFI.
    ///
    /// # Errors
    /// It does not build; [`LeftOut`] where nothing can be built for such firmware.
    fn loader(&self) -> Result<PathBuf>;

    /// The program of this package for an arm64 Linux host, which needs nothing else there.
    ///
    /// # Errors
    /// There is no such package, or it does not build; [`LeftOut`] where nothing can be built for
    /// such a host.
    fn linux_program(&self, package: &str) -> Result<PathBuf>;
}

/// What a scenario has at hand.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where images come from.
    pub images: Arc<dyn Images>,
    /// Where the board files are.
    pub boards: PathBuf,
    /// Where a scenario may leave files, its own alone; after a failure they are there to be looked
    /// at.
    pub scratch: PathBuf,
    /// The mode that images are in.
    pub mode: Mode,
    /// The hosts that guests under KVM run on, brought up when they are first asked for.
    pub hosts: Arc<Hosts>,
}

impl Context {
    /// The mode in which the promise is to be kept now: for what must differ between the two.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The image called `name`, in this mode.
    ///
    /// # Errors
    /// There is no such program, or it does not build.
    pub fn image(&self, name: &str) -> Result<PathBuf> {
        self.images.image(name, self.mode)
    }

    /// The image called `name` that `board` boots, in this mode.
    ///
    /// # Errors
    /// There is no such program, or it does not build.
    pub fn image_on(&self, board: &Board, name: &str) -> Result<PathBuf> {
        match board.image_of(&Board::find(&self.boards, Board::USUAL)?) {
            None => self.image(name),
            Some(file) => self.images.image_for(file, name, self.mode),
        }
    }

    /// A machine that boots the image called `name` on the board called `board`.
    ///
    /// # Errors
    /// There is no such image or board.
    pub fn machine(&self, board: &str, name: &str) -> Result<Machine> {
        self.machine_of(&Board::find(&self.boards, board)?, name)
    }

    /// The same on a board that is at hand.
    ///
    /// # Errors
    /// There is no such image.
    pub fn machine_of(&self, board: &Board, name: &str) -> Result<Machine> {
        let machine = Machine::new(board, &self.image_on(board, name)?).on(&self.hosts);
        match board.hand_over {
            HandOver::Uefi => Ok(machine.loader(&self.images.loader()?)),
            _ => Ok(machine),
        }
    }
}

/// Lists functions of a module as scenarios, for both modes or `in` one:
/// `scenarios!["boot": Quick boots_at_el1, Long restarts in Contained, …]`.
macro_rules! scenarios {
    ($area:literal: $($pace:ident $name:ident $(in $mode:ident)?),* $(,)?) => {
        &[$($crate::Scenario {
            name: concat!($area, "::", stringify!($name)),
            pace: $crate::Pace::$pace,
            modes: $crate::scenario::modes!($($mode)?),
            run: $name,
        }),*]
    };
}
pub(crate) use scenarios;

/// What stands behind `in`.
macro_rules! modes {
    () => {
        $crate::Modes::Both
    };
    ($mode:ident) => {
        $crate::Modes::Only($crate::Mode::$mode)
    };
}
pub(crate) use modes;
