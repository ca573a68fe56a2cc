//! The library's one error.

use core::fmt;

use elone_gate as gate;
use embedded_io_async::ErrorKind;

/// What went wrong, and so what the application can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel refused; see there.
    Gate(gate::Error),
    /// The machine has no such network interface, or none that could be used; the boot's log says
    /// which. Do without, or tell the operator.
    NoInterface,
    /// The interface has no address of the kind that this needs. Wait for one, or use another.
    NoAddress,
    /// The address or port is not one that can be used here.
    BadAddress,
    /// Somebody in this application has the port already.
    PortInUse,
    /// All connections, sockets or queries that were set aside are in use. Try again later, or set
    /// more aside.
    Full,
    /// The peer does not want the connection: nothing listens there.
    Refused,
    /// The peer ended the connection before its time, or the network did. What was sent may or may
    /// not have arrived.
    Reset,
    /// This side has closed the connection already.
    Closed,
    /// No answer came in time.
    TimedOut,
    /// The name is not one, or no server knows it.
    NoSuchName,
    /// A message is larger than what it has to pass through.
    TooLarge,
    /// This cannot be done here.
    Unsupported,
}

impl From<gate::Error> for Error {
    fn from(error: gate::Error) -> Self {
        Self::Gate(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gate(error) => return error.fmt(f),
            Self::NoInterface => "this machine has no network interface that can be used",
            Self::NoAddress => "the interface has no such address",
            Self::BadAddress => "not an address that can be used here",
            Self::PortInUse => "the port is in use",
            Self::Full => "all that was set aside is in use",
            Self::Refused => "the peer refused the connection",
            Self::Reset => "the connection was reset",
            Self::Closed => "the connection is closed",
            Self::TimedOut => "no answer in time",
            Self::NoSuchName => "no such name",
            Self::TooLarge => "too large",
            Self::Unsupported => "not supported here",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Gate(_) | Self::NoInterface | Self::NoSuchName => ErrorKind::Other,
            Self::NoAddress => ErrorKind::AddrNotAvailable,
            Self::BadAddress => ErrorKind::InvalidInput,
            Self::PortInUse => ErrorKind::AddrInUse,
            Self::Full => ErrorKind::OutOfMemory,
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::Closed => ErrorKind::NotConnected,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::TooLarge => ErrorKind::InvalidData,
            Self::Unsupported => ErrorKind::Unsupported,
        }
    }
}
