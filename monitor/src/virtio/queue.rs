//! Answering what is in a queue.

use virtio_queue::{DescriptorChain, Queue, QueueOwnedT as _, QueueT as _};

use crate::memory::Ram;

/// The driver has broken the rules: the device stops until it is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl From<virtio_queue::Error> for Broken {
    fn from(_: virtio_queue::Error) -> Self {
        Self
    }
}

impl From<std::io::Error> for Broken {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// Has `answer` answer each request in `queue`, until there are none or it says that it cannot now
/// (`None`: the request stays in the queue). It returns how many bytes it has written into the
/// request's buffers. Returns whether the driver wants an interrupt for what was answered.
///
/// # Errors
/// The queue is not as a driver must leave it, or `answer` says so of a request.
pub fn answer_all(
    queue: &mut Queue,
    ram: &Ram,
    mut answer: impl FnMut(DescriptorChain<&Ram>) -> Result<Option<u32>, Broken>,
) -> Result<bool, Broken> {
    let mut any = false;
    'more: loop {
        queue.disable_notification(ram)?;
        let before = queue.next_avail();
        // Bound first: the iterator borrows the queue.
        while let Some(chain) = { queue.iter(ram)?.next() } {
            let head = chain.head_index();
            let Some(written) = answer(chain)? else {
                queue.go_to_previous_position();
                break 'more;
            };
            queue.add_used(ram, head, written)?;
            any = true;
        }
        if !queue.enable_notification(ram)? {
            break;
        }
        // There is more, yet it cannot be read: it must not be waited for.
        if queue.next_avail() == before {
            return Err(Broken);
        }
    }
    Ok(any && queue.needs_notification(ram)?)
}
