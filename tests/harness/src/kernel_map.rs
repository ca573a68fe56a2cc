//! Where a kernel that runs has what, read from its page tables behind its back: no address of it is
//! the same from boot to boot, and nobody but the kernel is told.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::{Object, ObjectSymbol};

use crate::stub::Stub;

/// The upper half's beginning, and what one entry of the root table maps.
const UPPER: u64 = 0xffff_0000_0000_0000;
const UNIT: u64 = 1 << 39;
/// The root of the upper half's tables, among all of them (`hal/src/arch/slide.rs`).
const ROOT: u64 = 3 * 4096;
/// Of a descriptor (Arm ARM, section D8.3): that it is valid, and names a table or a page; that the
/// kernel may not run what it maps; that it may not write it; the address.
const VALID: u64 = 1;
const TABLE: u64 = 0b11;
const NO_EXECUTE: u64 = 1 << 53;
const READ_ONLY: u64 = 1 << 7;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// Pages or blocks that follow each other, and may be used alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) at: Range<u64>,
    pub(crate) runs: bool,
    pub(crate) writes: bool,
}

/// What is mapped in the upper half, by address.
#[derive(Clone, Debug)]
pub(crate) struct KernelMap(Vec<Mapped>);

impl KernelMap {
    /// Reads it from a machine that stands still, has booted `image`, and has it at this physical
    /// address.
    pub(crate) fn read(stub: &mut Stub, image: &Path, loaded: u64) -> Result<Self> {
        let linked = fs::read(image.with_extension("elf"))?;
        let file = object::File::parse(&*linked)?;
        let symbol = |name: &str| {
            let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
            found.map(|symbol| symbol.address()).with_context(|| format!("there is no {name}"))
        };
        let root = loaded + symbol("__tables_start")? - symbol("__image_start")? + ROOT;
        let mut map = Self(Vec::new());
        map.walk(stub, root, UPPER, UNIT)?;
        Ok(map)
    }

    /// Adds what a table maps, whose entries map `size` bytes each, from `base` on.
    fn walk(&mut self, stub: &mut Stub, table: u64, base: u64, size: u64) -> Result<()> {
        let bytes = stub.read(table, 4096)?;
        let (entries, _) = bytes.as_chunks::<8>();
        for (index, entry) in (0..).zip(entries) {
            let (entry, at) = (u64::from_le_bytes(*entry), base + index * size);
            if entry & TABLE == TABLE && size > 4096 {
                self.walk(stub, entry & ADDRESS, at, size / 512)?;
            } else if entry & VALID != 0 {
                // Who counts to the end of the half comes to 0.
                self.add(at..at.wrapping_add(size), entry);
            }
        }
        Ok(())
    }

    fn add(&mut self, at: Range<u64>, entry: u64) {
        let (runs, writes) = (entry & NO_EXECUTE == 0, entry & READ_ONLY == 0);
        match self.0.last_mut() {
            Some(last) if last.at.end == at.start && (last.runs, last.writes) == (runs, writes) => {
                last.at.end = at.end;
            }
            _ => self.0.push(Mapped { at, runs, writes }),
        }
    }

    /// What is mapped in these 512 GiB of the upper half (`hal/src/arch/places.rs`), by address.
    pub(crate) fn within(&self, units: Range<u64>) -> impl Iterator<Item = &Mapped> {
        let range = UPPER + units.start * UNIT..UPPER + units.end * UNIT;
        self.0.iter().filter(move |mapped| range.contains(&mapped.at.start))
    }
}
