//! Lines of GPIO controllers, for drivers that are written against `embedded_hal::digital`.
//!
//! Whoever runs the machine says which lines the application may have (`gpio=17,18`); the kernel gives
//! each out once. A line is let go, and becomes an input, when the application ends, not when its
//! handle is dropped.
//!
//! ```no_run
//! use elone::Platform;
//! use elone::gate::GpioLevel;
//! use embedded_hal::digital::{InputPin, OutputPin};
//!
//! # async fn example(platform: Platform) -> Result<(), elone::Error> {
//! let mut lamp = platform.gpio(0, 17)?.into_output(GpioLevel::Low)?;
//! let mut key = platform.gpio(0, 18)?.into_input()?;
//! if key.is_low()? {
//!     lamp.set_high()?;
//! }
//! # Ok(())
//! # }
//! ```

use elone_gate::{GpioLevel, GpioLine, GpioOperation, calls};
use embedded_hal::digital::{self, ErrorKind, ErrorType, InputPin, OutputPin, StatefulOutputPin};

use crate::Error;

/// A line that is the application's, as firmware left it.
#[derive(Debug)]
pub struct Line(GpioLine);

/// A line that is driven.
#[derive(Debug)]
pub struct Output {
    line: GpioLine,
    level: GpioLevel,
}

/// A line that somebody else drives.
#[derive(Debug)]
pub struct Input(GpioLine);

impl Line {
    pub(crate) fn claim(line: GpioLine) -> Result<Self, Error> {
        calls::gpio(line, GpioOperation::Claim)?;
        Ok(Self(line))
    }

    /// Drives the line from now on, first at `level`.
    ///
    /// # Errors
    /// Those of the call; none is known of a line that was claimed.
    pub fn into_output(self, level: GpioLevel) -> Result<Output, Error> {
        let mut output = Output { line: self.0, level };
        output.drive(level)?;
        Ok(output)
    }

    /// Leaves the line to whoever is at the other end.
    ///
    /// # Errors
    /// As [`into_output`](Self::into_output).
    pub fn into_input(self) -> Result<Input, Error> {
        calls::gpio(self.0, GpioOperation::Listen)?;
        Ok(Input(self.0))
    }
}

impl Output {
    fn drive(&mut self, level: GpioLevel) -> Result<(), Error> {
        let operation = match level {
            GpioLevel::Low => GpioOperation::DriveLow,
            GpioLevel::High => GpioOperation::DriveHigh,
        };
        calls::gpio(self.line, operation)?;
        self.level = level;
        Ok(())
    }

    /// Gives the line back as it was claimed: it is driven until something else is said.
    #[must_use]
    pub fn into_line(self) -> Line {
        Line(self.line)
    }
}

impl Input {
    /// Gives the line back as it was claimed.
    #[must_use]
    pub fn into_line(self) -> Line {
        Line(self.0)
    }
}

/// What the line is, whoever drives it.
fn is(line: GpioLine, level: GpioLevel) -> Result<bool, Error> {
    Ok(calls::gpio(line, GpioOperation::Read)? == level)
}

impl digital::Error for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Output {
    type Error = Error;
}

impl ErrorType for Input {
    type Error = Error;
}

impl OutputPin for Output {
    fn set_low(&mut self) -> Result<(), Error> {
        self.drive(GpioLevel::Low)
    }

    fn set_high(&mut self) -> Result<(), Error> {
        self.drive(GpioLevel::High)
    }
}

/// What was asked for, which somebody stronger may keep the line from.
impl StatefulOutputPin for Output {
    fn is_set_high(&mut self) -> Result<bool, Error> {
        Ok(self.level == GpioLevel::High)
    }

    fn is_set_low(&mut self) -> Result<bool, Error> {
        Ok(self.level == GpioLevel::Low)
    }
}

/// What became of it.
impl InputPin for Output {
    fn is_high(&mut self) -> Result<bool, Error> {
        is(self.line, GpioLevel::High)
    }

    fn is_low(&mut self) -> Result<bool, Error> {
        is(self.line, GpioLevel::Low)
    }
}

impl InputPin for Input {
    fn is_high(&mut self) -> Result<bool, Error> {
        is(self.0, GpioLevel::High)
    }

    fn is_low(&mut self) -> Result<bool, Error> {
        is(self.0, GpioLevel::Low)
    }
}
