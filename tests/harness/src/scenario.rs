//! A system test: one promise, kept on a virtual machine.

use std::path::PathBuf;

use anyhow::{Result, ensure};

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

/// What a scenario has at hand.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the images are, `NAME.img` and `NAME.elf`.
    pub images: PathBuf,
    /// Where the board files are.
    pub boards: PathBuf,
    /// Where a scenario may leave files; they are there to be looked at after a failure.
    pub scratch: PathBuf,
}

impl Context {
    /// The image called `name`.
    ///
    /// # Errors
    /// It was not built.
    pub fn image(&self, name: &str) -> Result<PathBuf> {
        let image = self.images.join(format!("{name}.img"));
        ensure!(image.is_file(), "there is no image of {name}: {}", image.display());
        Ok(image)
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
