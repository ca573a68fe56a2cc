//! A connection in memory: what arrives segment by segment, what leaves write by write.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use edge_nal::{Close, TcpShutdown};
use embedded_io_async::{ErrorType, Read, Write};

/// How the server has ended its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    Open,
    Both,
    Aborted,
}

#[derive(Default)]
pub struct Wire {
    arriving: RefCell<VecDeque<Vec<u8>>>,
    finished: Cell<bool>,
    writes: RefCell<Vec<Vec<u8>>>,
    /// How many bytes more the client takes.
    room: Cell<usize>,
    closed: Cell<Option<Closed>>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

impl Wire {
    /// To a client that takes `room` bytes before it is given more.
    pub fn new(room: usize) -> Rc<Self> {
        let wire = Self::default();
        wire.room.set(room);
        Rc::new(wire)
    }

    pub fn deliver(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.arriving.borrow_mut().push_back(bytes.to_vec());
        }
        self.wake_reader();
    }

    pub fn finish(&self) {
        self.finished.set(true);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Lets the client take so many bytes more.
    pub fn take(&self, room: usize) {
        self.room.set(self.room.get() + room);
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    /// All that left.
    pub fn sent(&self) -> Vec<u8> {
        self.writes.borrow().concat()
    }

    /// In how many writes it left.
    pub fn writes(&self) -> usize {
        self.writes.borrow().len()
    }

    pub fn closed(&self) -> Closed {
        self.closed.get().unwrap_or(Closed::Open)
    }
}

/// The server's end.
pub struct Stream(pub Rc<Wire>);

impl ErrorType for Stream {
    type Error = Infallible;
}

impl Read for Stream {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        assert!(!buffer.is_empty(), "a read into nothing looks like the end");
        poll_fn(|context| {
            let mut arriving = self.0.arriving.borrow_mut();
            let Some(segment) = arriving.front_mut() else {
                if self.0.finished.get() {
                    return Poll::Ready(Ok(0));
                }
                *self.0.reader.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            };
            let length = segment.len().min(buffer.len());
            buffer[..length].copy_from_slice(&segment[..length]);
            segment.drain(..length);
            if segment.is_empty() {
                arriving.pop_front();
            }
            Poll::Ready(Ok(length))
        })
        .await
    }
}

impl Write for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        assert!(!bytes.is_empty(), "a write of nothing looks like a failure");
        assert_eq!(self.0.closed(), Closed::Open, "written after the end");
        poll_fn(|context| {
            let length = bytes.len().min(self.0.room.get());
            if length == 0 {
                *self.0.writer.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            }
            self.0.room.set(self.0.room.get() - length);
            self.0.writes.borrow_mut().push(bytes[..length].to_vec());
            Poll::Ready(Ok(length))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl TcpShutdown for Stream {
    async fn close(&mut self, _: Close) -> Result<(), Infallible> {
        unreachable!("a connection ends by being dropped")
    }

    async fn abort(&mut self) -> Result<(), Infallible> {
        self.0.closed.set(Some(Closed::Aborted));
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.0.closed() == Closed::Open {
            self.0.closed.set(Some(Closed::Both));
        }
    }
}
