//! A wire to the guest's network interface: the test is the only other end.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the guest may leave a frame on the wire before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest Ethernet frame, and some room to see one that is too long.
const FRAME: usize = 4096;

/// A wire to the guest's network interface, frame by frame.
#[derive(Debug)]
pub struct Wire {
    socket: UnixDatagram,
    guest: PathBuf,
}

impl Wire {
    /// Lays a wire between two sockets in `directory`: ours, and the one that the emulator makes.
    pub(crate) fn lay(directory: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(Self::ours(directory))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, guest: Self::guests(directory) })
    }

    /// What tells the emulator of the wire, as its `-netdev` takes it, without the id.
    pub(crate) fn argument(directory: &Path) -> String {
        let (ours, guests) = (Self::ours(directory), Self::guests(directory));
        format!(
            "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            guests.display(),
            ours.display()
        )
    }

    fn ours(directory: &Path) -> PathBuf {
        directory.join("test.wire")
    }

    fn guests(directory: &Path) -> PathBuf {
        directory.join("guest.wire")
    }

    /// Puts a frame on the wire: Ethernet header and payload, without checksum.
    ///
    /// # Errors
    /// The emulator has ended, or takes nothing off the wire any more.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send_to(frame, &self.guest).map(drop)
    }

    /// Takes the guest's next frame off the wire; `None` if there is none within `timeout`.
    ///
    /// # Errors
    /// The system refuses to read, or `timeout` is zero.
    pub fn receive(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        self.socket.set_read_timeout(Some(timeout))?;
        let mut frame = vec![0; FRAME];
        match self.socket.recv(&mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
