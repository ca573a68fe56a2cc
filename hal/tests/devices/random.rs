//! Random operations on a queue, against a model that only counts tokens.

use std::collections::{BTreeMap, VecDeque};

use elone_hal::virtio::queue::Tables;

use crate::common::variants;
use crate::queue::{Rig, rig};

/// Marsaglia's xorshift, with 64 bits of state: the same numbers for the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// Seeds that are neighbours give streams that are not.
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a queue must do, whatever the order: no token lost, none twice, none early.
#[derive(Default)]
struct Model {
    added: VecDeque<u16>,
    /// Published, and not yet seen by the device: in the order of publishing.
    available: VecDeque<u16>,
    /// The device's, by chain: the token, and whether it is completed with which length.
    held: BTreeMap<u16, u16>,
    /// Completed, in order.
    completed: VecDeque<(u16, u32)>,
}

impl Model {
    fn outstanding(&self) -> usize {
        self.added.len() + self.available.len() + self.held.len() + self.completed.len()
    }
}

fn run(variant: (u32, u64), tables: Tables, seed: u64, steps: u32) {
    let mut rig: Rig<12, 2> = rig(variant, 16, tables);
    let (mut random, mut model, mut token) = (Random::new(seed), Model::default(), 0_u16);
    let mut longest = 0;
    for _ in 0..steps {
        match random.below(6) {
            0 | 1 => {
                let room = model.outstanding() < usize::from(rig.queue.chains());
                assert_eq!(rig.queue.has_room(), room);
                let one = random.below(2) == 0;
                let added = if one {
                    rig.queue.add([], [rig.span], token)
                } else {
                    rig.queue.add([rig.span], [rig.span], token)
                };
                assert_eq!(added.is_ok(), room);
                if room {
                    model.added.push_back(token);
                    token = token.wrapping_add(1);
                }
            }
            2 => {
                let _ = rig.queue.publish();
                model.available.append(&mut model.added);
            }
            3 => {
                let chain = rig.device.lock().pop(0);
                let expected = model.available.pop_front();
                assert_eq!(chain.is_some(), expected.is_some());
                if let (Some(chain), Some(token)) = (chain, expected) {
                    assert!(model.held.insert(chain.head, token).is_none(), "a head twice");
                }
            }
            4 => {
                let count = model.held.len() as u64;
                if count > 0 {
                    let place = usize::try_from(random.below(count)).expect("small");
                    let head = *model.held.keys().nth(place).expect("below the count");
                    let token = model.held.remove(&head).expect("just found");
                    let length = (random.below(65) & 0xff) as u32;
                    rig.device.lock().push(0, head, length);
                    model.completed.push_back((token, length));
                }
            }
            _ if random.below(4) == 0 => assert_eq!(rig.queue.arm(), !model.completed.is_empty()),
            _ => {
                let used = rig.queue.take().expect("an honest device");
                let used = used.map(|used| (used.token, used.written));
                assert_eq!(used, model.completed.pop_front());
            }
        }
        longest = longest.max(model.outstanding());
    }
    assert_eq!(longest, usize::from(rig.queue.chains()), "the queue was full at some time");
}

#[test]
fn random_operations_lose_and_double_nothing() {
    let (seeds, steps) = if cfg!(miri) { (1, 150) } else { (3, 5_000) };
    for (variant, tables) in variants().flat_map(|v| [(v, Tables::Never), (v, Tables::Always)]) {
        for seed in 1..=seeds {
            run(variant, tables, seed, steps);
        }
    }
}
