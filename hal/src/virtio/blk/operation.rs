//! What a disk is asked, and what it answers.

use crate::virtio::DeviceError;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read sectors into the buffer.
    Read,
    /// Write sectors from the buffer.
    Write,
    /// Make completed writes survive a loss of power. Sector and length are ignored.
    Flush,
}

impl Operation {
    /// The request's type (section 5.2.6).
    pub(super) const fn code(self) -> u64 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Flush => 4,
        }
    }
}

/// Why a request failed. The disk as a whole still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The medium failed. What the buffer holds after a read is not data.
    Io,
    /// The device does not know this operation.
    Unsupported,
    /// The device answered with this status, which the specification does not have.
    Unknown(u8),
}

impl core::fmt::Display for BlockError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io => f.write_str("the disk reported an error"),
            Self::Unsupported => f.write_str("the disk does not know this operation"),
            Self::Unknown(status) => write!(f, "the disk answered with unknown status {status}"),
        }
    }
}

impl core::error::Error for BlockError {}

/// Why a request that is waited for ([`Blk::read_now`](super::Blk::read_now)) came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NowError {
    /// The driver refused it, or gave up waiting ([`DeviceError::Silent`]).
    Device(DeviceError),
    /// The disk did it, and failed.
    Request(BlockError),
}

impl From<DeviceError> for NowError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<BlockError> for NowError {
    fn from(error: BlockError) -> Self {
        Self::Request(error)
    }
}

impl core::fmt::Display for NowError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NowError {}

/// A completed request: its buffer, the application's again, and what became of it.
pub type Completion = (u16, Result<(), BlockError>);
