//! The configuration space of a PCI bus that nothing is plugged into (PCI Local Bus 3.0, section 6.1):
//! reads are all ones, which is the vendor of no device.

use crate::bus::Device;

/// Such a bus.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyBus;

impl Device for EmptyBus {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(u8::MAX);
    }

    fn write(&mut self, _offset: u64, _data: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_answers_with_ones() {
        let mut word = [0; 4];
        EmptyBus.write(0x8000, &[0; 4]);
        EmptyBus.read(0x8000, &mut word);
        assert_eq!(word, [0xff; 4]);
    }
}
