//! The virtual machine's generation: sixteen bytes in memory that are others after it was restored
//! from a snapshot, or is a copy ("Virtual Machine Generation ID", Microsoft, 2012; device tree
//! binding `microsoft,vmgenid`).

use crate::observed::Observed;

/// The identifier's length in bytes.
pub const LENGTH: u64 = 16;

/// Where the identifier is.
#[derive(Clone, Copy, Debug)]
pub struct Generation {
    memory: Observed,
}

impl Generation {
    /// The identifier in `memory`; `None` where it is too short for one.
    #[must_use]
    pub const fn new(memory: Observed) -> Option<Self> {
        if memory.words() < 2 { None } else { Some(Self { memory }) }
    }

    /// Whether this is an identifier. What is read where nobody has put one says nothing, and will not
    /// be another after a restore.
    #[must_use]
    pub const fn is_one(words: [u64; 2]) -> bool {
        !matches!(words, [0, 0] | [u64::MAX, u64::MAX])
    }

    /// The identifier at this moment. It is changed while the machine stands still.
    #[must_use]
    pub fn now(self) -> [u64; 2] {
        [self.memory.word(0), self.memory.word(1)]
    }
}
