//! Who the machine is: two places in memory by which a guest sees that it is not the one that it was,
//! because it was restored from a snapshot or copied.
//!
//! The monitor takes no snapshots. It changes the identity when it is told to (`SIGUSR1`), so that
//! what a guest makes of that can be seen.

use std::sync::atomic::{Ordering, fence};

use anyhow::Result;
use vm_memory::{Bytes as _, GuestAddress};

use crate::map::Map;
use crate::memory::Ram;

/// The vmclock's page (Linux, `include/uapi/linux/vmclock-abi.h`): what is where.
const SEQUENCE: usize = 0x0c;
const DISRUPTIONS: usize = 0x10;
const FLAGS: usize = 0x18;
const GENERATIONS: usize = 0x68;
/// How many bytes are written to each.
pub(crate) const VMCLOCK: usize = 0x70;
pub(crate) const GENERATION: usize = 16;
/// `VCLK`, version 1, no counter (255), and no time: the flags say that there is a count of
/// generations (bit 8) and an interrupt (bit 9).
const MAGIC: [u8; 4] = *b"VCLK";
const NO_COUNTER: u8 = 255;
const HAS: u64 = 1 << 8 | 1 << 9;

/// Who the machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The generation's ID: random.
    id: [u8; GENERATION],
    /// How often it has changed.
    changes: u64,
}

impl Identity {
    /// A machine called by these random bytes.
    #[must_use]
    pub fn new(id: [u8; 16]) -> Self {
        Self { id, changes: 0 }
    }

    /// Makes it another.
    pub fn change(&mut self, id: [u8; 16]) {
        self.id = id;
        self.changes += 1;
    }

    /// Puts it where `map` has it.
    ///
    /// # Errors
    /// There is no memory there, which a map that was read has seen to.
    pub fn write(&self, map: &Map, ram: &Ram) -> Result<()> {
        if let Some(page) = &map.generation {
            ram.write_slice(&self.id, GuestAddress(page.address))?;
        }
        if let Some(page) = &map.vmclock {
            // Odd while it changes: the guest then reads again.
            let sequence = u32::try_from(self.changes * 2 % (1 << 32)).unwrap_or(0);
            let at = GuestAddress(page.address + SEQUENCE as u64);
            ram.write_obj(sequence.wrapping_sub(1).to_le(), at)?;
            fence(Ordering::SeqCst);
            let clock = self.clock(page.size);
            ram.write_slice(&clock[..SEQUENCE], GuestAddress(page.address))?;
            let behind = SEQUENCE + size_of_val(&sequence);
            let rest = GuestAddress(page.address + behind as u64);
            ram.write_slice(&clock[behind..], rest)?;
            fence(Ordering::SeqCst);
            ram.write_obj(sequence.to_le(), at)?;
        }
        Ok(())
    }

    /// The vmclock's page.
    fn clock(&self, size: u64) -> [u8; VMCLOCK] {
        let mut clock = [0; VMCLOCK];
        let mut put = |at: usize, bytes: &[u8]| clock[at..][..bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(4, &u32::try_from(size).unwrap_or(0).to_le_bytes());
        put(8, &[1, 0, NO_COUNTER, 0]);
        put(DISRUPTIONS, &self.changes.to_le_bytes());
        put(FLAGS, &HAS.to_le_bytes());
        put(GENERATIONS, &self.changes.to_le_bytes());
        clock
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_change_is_another_id_and_a_higher_count() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/monitor/firecracker.toml");
        let map = Map::read(&file).unwrap();
        let ram = Ram::from_ranges(&[(GuestAddress(0x8000_0000), 4 << 20)]).unwrap();
        let mut identity = Identity::new([1; 16]);
        let mut seen = Vec::new();
        for id in [2, 3] {
            identity.write(&map, &ram).unwrap();
            let read = |at: u64| ram.read_obj::<u64>(GuestAddress(at)).unwrap();
            let (clock, generation) = (0x801f_e000, read(0x801f_fff0));
            let sequence = ram.read_obj::<u32>(GuestAddress(clock + SEQUENCE as u64)).unwrap();
            assert_eq!((read(clock) & 0xffff_ffff, sequence % 2), (0x4b4c_4356, 0));
            let counts = [DISRUPTIONS, GENERATIONS].map(|at| read(clock + at as u64));
            seen.push((generation, sequence, counts));
            identity.change([id; 16]);
        }
        let id = |byte| u64::from_le_bytes([byte; 8]);
        assert_eq!(seen, [(id(1), 0, [0, 0]), (id(2), 2, [1, 1])]);
    }
}
