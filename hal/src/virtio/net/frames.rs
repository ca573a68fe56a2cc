//! Frames: buffers offered and filled, queued and sent, and whose each is.

use super::{BUFFER_SIZE, ETHERNET, FEW, Net, Owner, RECEIVE, TRANSMIT};
use crate::virtio::{DeviceError, Fault};

impl Net {
    /// Whether a buffer is the application's: what [`Self::offer`] and [`Self::send`] ask of it.
    #[must_use]
    pub fn is_held(&self, buffer: u16) -> bool {
        buffer < self.buffers.count()
            && self.owners.get(usize::from(buffer)) == Some(&Owner::Application)
    }

    /// Passes a buffer on. The caller has checked that it exists.
    fn pass(&mut self, buffer: u16, owner: Owner) {
        if let Some(place) = self.owners.get_mut(usize::from(buffer)) {
            *place = owner;
            self.held = match owner {
                Owner::Application => self.held.saturating_add(1),
                Owner::Offered | Owner::Sending => self.held.saturating_sub(1),
            };
        }
    }

    /// Offers a buffer to be filled with a frame. It takes effect with the next [`Self::flush`].
    ///
    /// # Errors
    /// [`DeviceError::BadBuffer`], [`DeviceError::Broken`].
    #[inline]
    pub fn offer(&mut self, buffer: u16) -> Result<(), DeviceError> {
        self.live.working()?;
        if !self.is_held(buffer) {
            return Err(DeviceError::BadBuffer);
        }
        // There is room for all buffers, and each is in it at most once.
        self.waiting.push(buffer).map_err(|_| DeviceError::BadBuffer)?;
        self.pass(buffer, Owner::Offered);
        Ok(())
    }

    /// Queues the frame in the first `length` bytes of a buffer. It leaves with the next
    /// [`Self::flush`].
    ///
    /// # Errors
    /// [`DeviceError::OutOfRange`] for a length under 14 or over the buffer's,
    /// [`DeviceError::BadBuffer`], [`DeviceError::Full`], [`DeviceError::Broken`].
    #[inline]
    pub fn send(&mut self, buffer: u16, length: u16) -> Result<(), DeviceError> {
        self.live.working()?;
        if !self.is_held(buffer) {
            return Err(DeviceError::BadBuffer);
        }
        let frame = self.buffers.span(buffer, length).ok_or(DeviceError::OutOfRange)?;
        if length < ETHERNET {
            return Err(DeviceError::OutOfRange);
        }
        if let Err(full) = self.transmit.add([self.header, frame], [], buffer) {
            self.refused = true;
            return Err(full);
        }
        self.pass(buffer, Owner::Sending);
        Ok(())
    }

    /// Lets the device see what was offered and queued. Notifies it at most once a queue, and only
    /// if it asks for that.
    #[inline]
    pub fn flush(&mut self) {
        if self.live.working().is_err() {
            return;
        }
        while self.receive.has_room()
            && let Some(buffer) = self.waiting.pop()
        {
            let Some(frame) = self.buffers.span(buffer, BUFFER_SIZE) else { continue };
            // There is room, so this is not refused.
            let _ = self.receive.add([], [self.sink, frame], buffer);
        }
        if self.receive.publish() {
            self.live.notify(RECEIVE);
        }
        if self.transmit.publish() {
            self.live.notify(TRANSMIT);
        }
    }

    /// Takes the next frame that arrived: its buffer, the application's from now on, and its
    /// length in bytes, which may be anything from 0 to the buffer's.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    #[inline]
    pub fn received(&mut self) -> Result<Option<(u16, u16)>, DeviceError> {
        self.live.working()?;
        let used = match self.receive.take() {
            Ok(Some(used)) => used,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(self.live.fail(fault)),
        };
        let length = used.written.checked_sub(self.sink.length());
        let Some(length) = length.and_then(|length| u16::try_from(length).ok()) else {
            return Err(self.live.fail(Fault::TooShort(used.written)));
        };
        self.pass(used.token, Owner::Application);
        Ok(Some((used.token, length)))
    }

    /// Takes back the next buffer whose frame has left.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    #[inline]
    pub fn sent(&mut self) -> Result<Option<u16>, DeviceError> {
        self.live.working()?;
        match self.transmit.take() {
            Ok(Some(used)) => {
                self.refused = false;
                self.pass(used.token, Owner::Application);
                Ok(Some(used.token))
            }
            Ok(None) => Ok(None),
            Err(fault) => Err(self.live.fail(fault)),
        }
    }

    /// Asks for an interrupt when a frame arrives and, if the application is short of buffers or
    /// was refused one, when half of what is being sent has left. Returns whether there is
    /// something already: then do not sleep. Flush before.
    ///
    /// Interrupts are asked for until [`Self::received`] or [`Self::sent`] is called.
    pub fn arm(&mut self) -> bool {
        if self.live.working().is_err() {
            return false;
        }
        let sending = self.transmit.in_flight();
        let wanted = sending > 0 && (self.refused || self.held < FEW);
        let left = wanted && self.transmit.arm_after(sending / 2);
        self.receive.arm() || left
    }

    /// Whether there is what an interrupt was asked for ([`arm`](Self::arm)).
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.receive.is_overdue() || self.transmit.is_overdue()
    }
}
