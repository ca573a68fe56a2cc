//! Randomness before anything has a place: what the device tree and the core have, for the early
//! pass, which decides where the image, the stacks, the heap and the devices' memory will be.
//!
//! At that time there is no console, no heap and no static that may be written, and the tree is as
//! the loader left it: any bytes. So this is a function of its arguments, which cannot fail; it
//! looks for `/chosen` alone, token by token (Devicetree Specification 0.4, section 5.4), since
//! reading the whole machine costs more than the rest of the early pass.
//!
//! The two seeds are each good for one boot, and secret: they are wiped from the tree as soon as
//! they are mixed. What comes of them is used up for the layout and for the pool of the kernel's
//! generator ([`crate::entropy`]), one half without a bearing on the other.

use core::ops::Range;

use elone_hal::seed::EarlySeed;
use elone_hal::wipe;
use sha2::{Digest, Sha256};

use crate::entropy::{Pool, Source};
use crate::machine::Tree;

/// How much of a seed is mixed, in bytes: more than the strongest generator needs. All is wiped.
const MOST: usize = 1024;

// The tokens of the structure block (section 5.4.1). `FDT_END`, 9, ends the walk as nonsense does.
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;

/// Makes what the early pass draws lots with, from the seeds in `/chosen` of the device tree at the
/// start of `tree` (what follows it, or whether it is one, does not matter), and from `extra`: the
/// values that the core's own generator gave (RNDR; none where it has none or failed), and, as the
/// last element, the system counter, which is mixed but is no entropy.
///
/// Then `kaslr-seed` and `rng-seed` are zeros in `tree`, stored byte by byte; nothing else in it is
/// written. `sources` of the answer are the bits of [`crate::entropy::Sources`]. A seed or a value
/// that is all the same byte, and values that are all the same, do not count.
#[must_use]
pub fn early(tree: &mut [u8], extra: &[u64]) -> EarlySeed {
    let seed = gather(tree, extra);
    wipe::stack();
    seed
}

/// The work, with all that it leaves on the stack.
#[inline(never)]
fn gather(tree: &mut [u8], extra: &[u64]) -> EarlySeed {
    let mut pool = Pool::default();
    let mut walk = Walk::open(tree);
    while let Some((source, place)) = walk.next_seed(tree) {
        if let Some(seed) = tree.get_mut(place) {
            pool.mix(source, seed.get(..MOST).unwrap_or(seed));
            wipe::wipe(seed);
        }
    }
    if let Some((counter, values)) = extra.split_last() {
        pool.stir(*counter);
        pool.mix_words(Source::Rndr, values);
    }

    let sources = pool.sources().bits();
    let key = pool.into_key();
    let mut seed =
        EarlySeed { layout: [0; EarlySeed::LAYOUT], pool: derive(&key, b"pool", 0), sources };
    for (number, part) in seed.layout.chunks_mut(4).enumerate() {
        let bytes = derive(&key, b"layout", number);
        for (target, word) in part.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *target = u64::from_le_bytes(*word);
        }
    }
    seed
}

/// 32 bytes for one purpose: the key cannot be had from them, and so neither can the others.
fn derive(key: &[u8; 32], purpose: &[u8], number: usize) -> [u8; 32] {
    let hash = Sha256::new().chain_update(key).chain_update(purpose);
    hash.chain_update(number.to_le_bytes()).finalize().into()
}

/// A walk along the structure block, for the seeds.
struct Walk {
    /// The structure block, and where in it the walk is, as offsets into the tree (bytes).
    block: Range<usize>,
    at: usize,
    /// The names of properties.
    strings: Range<usize>,
    /// How many nodes are open; in the root's properties, 1.
    depth: usize,
    /// Whether the open node below the root is `/chosen`.
    chosen: bool,
}

impl Walk {
    /// Begins one; it is a short one where `tree` is none.
    fn open(tree: &[u8]) -> Self {
        let blocks = Tree::check(tree).ok().filter(|size| *size <= tree.len()).and_then(|_| {
            // The header (section 5.2): offsets in cells 2 and 3, sizes in cells 9 and 8.
            let structure = block(tree, 2, 9)?;
            Some((structure, block(tree, 3, 8)?))
        });
        let (block, strings) = blocks.unwrap_or_default();
        Self { at: block.start, block, strings, depth: 0, chosen: false }
    }

    /// Goes on to the next seed: what it is, and where its bytes are.
    fn next_seed(&mut self, tree: &[u8]) -> Option<(Source, Range<usize>)> {
        loop {
            match self.cell(tree)? {
                BEGIN_NODE => {
                    let name = tree.get(self.at..self.block.end)?;
                    let length = name.iter().position(|byte| *byte == 0)?;
                    self.depth += 1;
                    if self.depth == 2 {
                        self.chosen = name.starts_with(b"chosen\0");
                    }
                    self.skip(length + 1)?;
                }
                END_NODE => self.depth = self.depth.checked_sub(1)?,
                PROPERTY => {
                    let [length, name] = self.cells(tree)?;
                    let value = self.skip(length as usize)?;
                    if self.depth == 2
                        && self.chosen
                        && let Some(source) = self.source(tree, name)
                    {
                        return Some((source, value));
                    }
                }
                NOP => {}
                _ => return None,
            }
        }
    }

    /// Which seed a property of `/chosen` is, by the offset of its name among the strings.
    fn source(&self, tree: &[u8], name: u32) -> Option<Source> {
        let names = tree.get(self.strings.clone())?.get(name as usize..)?;
        if names.starts_with(b"kaslr-seed\0") {
            Some(Source::KaslrSeed)
        } else if names.starts_with(b"rng-seed\0") {
            Some(Source::RngSeed)
        } else {
            None
        }
    }

    /// Reads a cell, and goes on behind it.
    fn cell(&mut self, tree: &[u8]) -> Option<u32> {
        self.cells(tree).map(|[cell]| cell)
    }

    /// Reads some cells, and goes on behind them. This is most of what the walk costs.
    #[inline(always)]
    fn cells<const COUNT: usize>(&mut self, tree: &[u8]) -> Option<[u32; COUNT]> {
        let (cells, _) = tree.get(self.at..self.block.end)?.as_chunks::<4>();
        let cells = cells.first_chunk()?;
        self.at += 4 * COUNT;
        Some(cells.map(u32::from_be_bytes))
    }

    /// Goes on by `length` bytes and to the next cell; says where those bytes are, all of them in
    /// the structure block.
    fn skip(&mut self, length: usize) -> Option<Range<usize>> {
        let place = self.at..self.at.checked_add(length)?;
        // Tokens are aligned to the block's start, which is aligned to four itself, or should be.
        let gone = (place.end - self.block.start).checked_next_multiple_of(4)?;
        self.at = self.block.start.checked_add(gone)?;
        (place.end <= self.block.end).then_some(place)
    }
}

/// The block whose offset and size are in these cells of the header.
fn block(tree: &[u8], offset: usize, size: usize) -> Option<Range<usize>> {
    let (cells, _) = tree.as_chunks::<4>();
    let cell = |index| cells.get(index).map(|cell| u32::from_be_bytes(*cell) as usize);
    let start = cell(offset)?;
    Some(start..start.checked_add(cell(size)?)?)
}
