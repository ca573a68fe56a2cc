//! Writes every sector of its disk with what tells it from all others, reads all back, and leaves
//! them for the harness to read in the file.
#![no_std]
#![no_main]

extern crate alloc;

use elone::storage::{BlockDevice, SECTOR};
use elone::{Platform, info};

/// Sectors at a time: more than one request can move.
const RUN: u64 = 24;

#[elone::main]
async fn main(platform: Platform) -> Result<(), elone::Error> {
    let disk = platform.disk(0)?;
    let sectors = disk.sectors();
    let mut bytes = alloc::vec![0; RUN as usize * SECTOR];
    for first in (0..sectors).step_by(RUN as usize) {
        let run = fill(&mut bytes, first, sectors);
        disk.write(first, run).await?;
    }
    disk.flush().await?;
    let mut seen = alloc::vec![0; RUN as usize * SECTOR];
    for first in (0..sectors).step_by(RUN as usize) {
        let run = fill(&mut bytes, first, sectors);
        disk.read(first, &mut seen[..run.len()]).await?;
        assert!(&seen[..run.len()] == run, "sectors from {first} on differ");
    }
    match disk.read(sectors, &mut seen[..SECTOR]).await {
        Err(error) => info!("beyond the end: {error}"),
        Ok(()) => info!("SURVIVED"),
    }
    info!("{sectors} sectors round-tripped");
    Ok(())
}

/// Fills `bytes` with what belongs into the sectors from `first` on, as far as there are any: each
/// 8 bytes hold the sector's number, turned, and their place in it.
fn fill(bytes: &mut [u8], first: u64, sectors: u64) -> &[u8] {
    let count = RUN.min(sectors - first) as usize;
    for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
        let sector = first + (index * 8 / SECTOR) as u64;
        let value = sector.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index as u64 % 64);
        word.copy_from_slice(&value.to_le_bytes());
    }
    &bytes[..count * SECTOR]
}
