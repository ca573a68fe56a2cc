//! A bell by which a device asks to be attended to once more, outside of the access that it is in.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use vmm_sys_util::eventfd::EventFd;

/// The bell. Its copies are the same bell; its descriptor is readable once it was rung.
#[derive(Clone, Debug)]
pub struct Bell(Arc<EventFd>);

impl Bell {
    /// A bell that is silent.
    ///
    /// # Errors
    /// This process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let bell = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        Ok(Self(Arc::new(bell)))
    }

    /// Rings it.
    pub fn ring(&self) {
        // It fails when it was rung as often as can be counted: it rings already.
        let _rings = self.0.write(1);
    }

    /// Silences it. Returns whether it was rung.
    #[must_use]
    pub fn was_rung(&self) -> bool {
        self.0.read().is_ok()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
