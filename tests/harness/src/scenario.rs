//! A system test: one promise, kept on a virtual machine.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::{Board, Machine};

/// One promise. Its name is the promise's, its test the function.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// `area::promise`, from where the function stands.
    pub name: &'static str,
    /// Whether a quick run leaves it out.
    pub pace: Pace,
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

/// Where images come from. Whoever runs scenarios builds them: all beforehand, or each when it is
/// first asked for.
pub trait Images: fmt::Debug + Send + Sync {
    /// The image of this application or tiny unikernel; the same name with `elf` at the end is the
    /// linker's output.
    ///
    /// # Errors
    /// There is no such program, or it does not build.
    fn image(&self, name: &str) -> Result<PathBuf>;
}

/// What a scenario has at hand.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where images come from.
    pub images: Arc<dyn Images>,
    /// Where the board files are.
    pub boards: PathBuf,
    /// Where a scenario may leave files; they are there to be looked at after a failure.
    pub scratch: PathBuf,
}

impl Context {
    /// The image called `name`.
    ///
    /// # Errors
    /// There is no such program, or it does not build.
    pub fn image(&self, name: &str) -> Result<PathBuf> {
        self.images.image(name)
    }

    /// A machine that boots the image called `name` on the board called `board`.
    ///
    /// # Errors
    /// There is no such image or board.
    pub fn machine(&self, board: &str, name: &str) -> Result<Machine> {
        Ok(Machine::new(&Board::find(&self.boards, board)?, &self.image(name)?))
    }
}

/// Lists functions of a module as scenarios: `scenarios!["boot": Quick boots_at_el1, …]`.
macro_rules! scenarios {
    ($area:literal: $($pace:ident $name:ident),* $(,)?) => {
        &[$($crate::Scenario {
            name: concat!($area, "::", stringify!($name)),
            pace: $crate::Pace::$pace,
            run: $name,
        }),*]
    };
}
pub(crate) use scenarios;
