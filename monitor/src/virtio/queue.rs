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

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is answered: so many bytes were written into its buffers.
    Written(u32),
    /// It is not answered yet, and can be tried once more.
    Again,
    /// It cannot be answered now: it stays in the queue.
    Later,
}

/// How far a queue was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Whether the driver wants an interrupt for what was answered.
    pub interrupt: bool,
    /// Whether the queue has to be served again, though nobody will say so.
    pub unfinished: bool,
}

/// Has `answer` answer each request in `queue`, until there are none, or it says that it cannot now,
/// or it has been asked as often as the queue is long: whoever offers requests as fast as they are
/// answered would keep the bus for ever.
///
/// # Errors
/// The queue is not as a driver must leave it, or `answer` says so of a request.
pub fn answer_all(
    queue: &mut Queue,
    ram: &Ram,
    mut answer: impl FnMut(DescriptorChain<&Ram>) -> Result<Answer, Broken>,
) -> Result<Served, Broken> {
    let (mut any, mut left) = (false, queue.size());
    let unfinished = 'more: loop {
        queue.disable_notification(ram)?;
        let before = queue.next_avail();
        // Bound first: the iterator borrows the queue.
        while let Some(chain) = { queue.iter(ram)?.next() } {
            let head = chain.head_index();
            if left == 0 {
                queue.go_to_previous_position();
                break 'more true;
            }
            left -= 1;
            match answer(chain)? {
                Answer::Written(written) => {
                    queue.add_used(ram, head, written)?;
                    any = true;
                }
                Answer::Again => queue.go_to_previous_position(),
                Answer::Later => {
                    queue.go_to_previous_position();
                    break 'more false;
                }
            }
        }
        if !queue.enable_notification(ram)? {
            break false;
        }
        // There is more, yet it cannot be read: it must not be waited for.
        if queue.next_avail() == before {
            return Err(Broken);
        }
    };
    Ok(Served { interrupt: any && queue.needs_notification(ram)?, unfinished })
}
