//! A disk's requests: which buffer each is in, and who waits for it.

use core::cell::RefCell;
use core::task::{Context, Poll, Waker};

use alloc::vec::Vec;
use elone_gate::{
    self as gate, BlockCompletion, BlockInfo, Buffer, BufferId, Events, Nanoseconds, calls,
};

use crate::Error;
use crate::run::Source;
use crate::shared::Shared;
use crate::wakers::Wakers;

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) info: BlockInfo,
    pub(super) inner: RefCell<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) shared: Shared,
    pub(super) free: Vec<Buffer>,
    /// What became of the request in each buffer.
    pub(super) requests: Vec<Request>,
    /// Tasks that wait for a buffer or for room in the device's queue.
    pub(super) waiting: Wakers,
    /// Why the device is lost, if it is. Its buffers do not come back.
    pub(super) lost: Option<gate::Error>,
}

#[derive(Debug)]
pub(super) enum Request {
    None,
    Running(Option<Waker>),
    /// Whoever asked went away; its buffer is free when the device is done with it.
    Abandoned,
    /// Its buffer, where the device gave it back, and what became of it.
    Done(Option<Buffer>, Result<(), gate::Error>),
}

impl Inner {
    pub(super) fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        self.waiting.add(context);
        Poll::Pending
    }

    /// A buffer for a request: one that is free, or else the next that is.
    pub(super) fn buffer(&mut self, context: &Context<'_>) -> Poll<Result<Buffer, Error>> {
        match (self.free.pop(), self.lost) {
            (Some(buffer), _) => Poll::Ready(Ok(buffer)),
            (None, Some(error)) => Poll::Ready(Err(error.into())),
            (None, None) => self.wait(context),
        }
    }

    pub(super) fn request(&mut self, id: BufferId) -> &mut Request {
        // A buffer's number is below the area's count, and there is a request for each.
        &mut self.requests[usize::from(id.0)]
    }

    fn release(&mut self, buffer: Buffer) {
        self.free.push(buffer);
        self.waiting.wake();
    }

    fn complete(&mut self, completion: BlockCompletion) {
        let size = self.shared.size();
        let Some(buffer) = self.shared.returned(completion.buffer, size) else { return };
        let request = self.request(completion.buffer);
        match core::mem::replace(request, Request::None) {
            Request::Running(waker) => {
                *request = Request::Done(Some(buffer), completion.result);
                waker.into_iter().for_each(Waker::wake);
            }
            _ => self.release(buffer),
        }
        self.waiting.wake();
    }

    /// The device is lost: every request ends, and keeps its buffer, which the device may still hold.
    fn fail(&mut self, error: gate::Error) {
        self.lost = Some(error);
        for request in &mut self.requests {
            if let Request::Running(waker) = request {
                let waker = waker.take();
                *request = Request::Done(None, Err(error));
                waker.into_iter().for_each(Waker::wake);
            }
        }
        self.waiting.wake();
    }
}

type Outcome = (Option<Buffer>, Result<(), gate::Error>);

impl Queue {
    pub(super) fn poll(&self, id: BufferId, context: &Context<'_>) -> Poll<Outcome> {
        let mut inner = self.inner.borrow_mut();
        let request = inner.request(id);
        match core::mem::replace(request, Request::None) {
            Request::Done(buffer, result) => Poll::Ready((buffer, result)),
            _ => {
                *request = Request::Running(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl Source for Queue {
    fn arrive(&self, events: Events) {
        if !events.contains(Events::device(self.info.handle)) {
            return;
        }
        let mut inner = self.inner.borrow_mut();
        let mut completions = [BlockCompletion::EMPTY; 16];
        loop {
            match calls::block_complete(self.info.handle, &mut completions) {
                Ok(0) => return,
                Ok(count) => completions.iter().take(count).for_each(|&one| inner.complete(one)),
                Err(error) => return inner.fail(error),
            }
        }
    }

    fn depart(&self) -> Option<Nanoseconds> {
        None
    }
}

/// A request whose buffer is on its way. Dropped early, it leaves the buffer to be freed later.
pub(super) struct Running {
    pub(super) queue: &'static Queue,
    pub(super) id: BufferId,
    pub(super) submitted: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut inner = self.queue.inner.borrow_mut();
        if !self.submitted {
            // The device never had it.
            let buffer = inner.shared.returned(self.id, 0);
            buffer.into_iter().for_each(|buffer| inner.release(buffer));
            return;
        }
        let request = inner.request(self.id);
        match core::mem::replace(request, Request::None) {
            Request::Running(_) => *request = Request::Abandoned,
            Request::Done(buffer, _) => buffer.into_iter().for_each(|buffer| inner.release(buffer)),
            other => *request = other,
        }
    }
}

/// A buffer that came back, which frees itself.
pub(super) struct Answer {
    pub(super) queue: &'static Queue,
    pub(super) buffer: Option<Buffer>,
}

impl Answer {
    pub(super) fn bytes(&self, length: usize) -> Result<&[u8], Error> {
        let bytes = self.buffer.as_ref().and_then(|buffer| buffer.get(..length));
        bytes.ok_or(Error::Gate(gate::Error::Broken))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut inner = self.queue.inner.borrow_mut();
        self.buffer.take().into_iter().for_each(|buffer| inner.release(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::area;

    #[test]
    fn a_device_that_is_lost_with_all_buffers_keeps_nobody_waiting() {
        let (mut shared, free) = Shared::claim(area(2, 512));
        let requests = free.iter().map(|_| Request::Running(None)).collect();
        for buffer in free {
            shared.lend(buffer);
        }
        let mut inner =
            Inner { shared, free: Vec::new(), requests, waiting: Wakers::new(), lost: None };
        let context = &Context::from_waker(Waker::noop());
        assert!(inner.buffer(context).is_pending());
        inner.fail(gate::Error::Broken);
        let Poll::Ready(result) = inner.buffer(context) else { panic!("still waiting") };
        assert_eq!(result.err(), Some(Error::Gate(gate::Error::Broken)));
    }
}
