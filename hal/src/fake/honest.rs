//! What devices do that keep to the specification.

use std::collections::VecDeque;

use super::virtio::{Service, Virtio};

/// Sectors' size in bytes.
const SECTOR: usize = 512;

/// Serves every chain of a queue, then asks to be notified of the next.
fn drain(device: &mut Virtio, queue: u16, mut serve: impl FnMut(&mut Virtio, u16)) {
    device.ring(queue).stay_awake();
    loop {
        while device.ring(queue).waiting() > 0 {
            serve(device, queue);
        }
        if !device.ring(queue).sleep() {
            return;
        }
    }
}

/// A network that sends every frame back to where it came from, behind a header of `header` bytes.
#[must_use]
pub fn echo(header: usize) -> Service {
    let mut frames: VecDeque<Vec<u8>> = VecDeque::new();
    Box::new(move |device, queue| {
        if queue == 1 {
            drain(device, queue, |device, queue| {
                let Some(chain) = device.pop(queue) else { return };
                frames.push_back(chain.read()[header..].to_vec());
                device.push(queue, chain.head, 0);
            });
        }
        while let Some(frame) = frames.front() {
            let Some(chain) = device.pop(0) else { break };
            let bytes = [&vec![0; header][..], frame].concat();
            let written = chain.write(&bytes);
            device.push(0, chain.head, written);
            frames.pop_front();
        }
        device.ring(0).sleep();
    })
}

/// A disk that holds `contents`.
#[must_use]
pub fn disk(mut contents: Vec<u8>) -> Service {
    Box::new(move |device, queue| {
        drain(device, queue, |device, queue| {
            let Some(chain) = device.pop(queue) else { return };
            let request = chain.read();
            let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| request[at + i]));
            let room = chain.room() as usize - 1;
            let start = usize::try_from(word(8)).unwrap_or(usize::MAX).saturating_mul(SECTOR);
            let data = &request[16..];
            let span = start..start.saturating_add(room.max(data.len()));
            let (bytes, status) = match (word(0), contents.get_mut(span)) {
                (0, Some(stored)) => (stored.to_vec(), 0),
                (1, Some(stored)) => {
                    stored.copy_from_slice(data);
                    (vec![], 0)
                }
                (4, _) => (vec![], 0),
                (0 | 1, None) => (vec![0; room], 1),
                _ => (vec![0; room], 2),
            };
            let written = chain.write(&[&bytes[..], &[status]].concat());
            device.push(queue, chain.head, written);
        });
    })
}

/// A source of bytes that count up, `most` at a time.
#[must_use]
pub fn entropy(most: usize) -> Service {
    let mut next = 0_u8;
    Box::new(move |device, queue| {
        drain(device, queue, |device, queue| {
            let Some(chain) = device.pop(queue) else { return };
            let count = most.min(chain.room() as usize);
            let bytes: Vec<u8> =
                (0..count).map(|_| (next, next = next.wrapping_add(1)).0).collect();
            let written = chain.write(&bytes);
            device.push(queue, chain.head, written);
        });
    })
}

/// A console that gives back every byte that it is given, in capital letters.
#[must_use]
pub fn console() -> Service {
    let mut bytes: VecDeque<u8> = VecDeque::new();
    Box::new(move |device, queue| {
        if queue == 1 {
            drain(device, queue, |device, queue| {
                let Some(chain) = device.pop(queue) else { return };
                bytes.extend(chain.read().to_ascii_uppercase());
                device.push(queue, chain.head, 0);
            });
        }
        while !bytes.is_empty() {
            let Some(chain) = device.pop(0) else { break };
            let count = bytes.len().min(chain.room() as usize);
            let written = chain.write(&bytes.drain(..count).collect::<Vec<u8>>());
            device.push(0, chain.head, written);
        }
        device.ring(0).sleep();
    })
}
