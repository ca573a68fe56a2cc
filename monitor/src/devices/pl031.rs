//! A PL031 real-time clock: `vm-superio`'s, on the bus.

use vm_superio::Rtc;
use vm_superio::rtc_pl031::NoEvents;

use crate::bus::Device;

/// The clock. It never interrupts: nobody waits for its alarm.
pub struct Pl031(Rtc<NoEvents>);

impl Pl031 {
    /// A clock that shows the host's time.
    #[must_use]
    pub fn new() -> Self {
        Self(Rtc::new())
    }
}

impl std::fmt::Debug for Pl031 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pl031").finish_non_exhaustive()
    }
}

impl Default for Pl031 {
    fn default() -> Self {
        Self::new()
    }
}

/// The registers are words, and so are accesses; others have no effect.
impl Device for Pl031 {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        if let (Ok(register), Ok(word)) = (u16::try_from(offset), data.try_into()) {
            self.0.read(register, word);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let (Ok(register), Ok(word)) = (u16::try_from(offset), data.try_into()) {
            self.0.write(register, word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_first_register_has_the_seconds_since_1970() {
        let mut clock = Pl031::new();
        let mut word = [0; 4];
        clock.read(0, &mut word);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let shown = u64::from(u32::from_le_bytes(word));
        assert!(shown <= now && now < shown + 60, "{shown}, {now}");
        clock.read(0xfe0, &mut word);
        assert_eq!(word[0], 0x31);
    }
}
