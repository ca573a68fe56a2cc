//! Serves a number of keep-alive requests from memory, to count what one costs:
//!
//! ```text
//! cargo build --release --package gateway --example requests
//! valgrind --tool=callgrind target/release/examples/requests 1000
//! valgrind --tool=callgrind target/release/examples/requests 2000
//! ```
//!
//! The difference of the two counts, by a thousand, is a request's: the parser, the route, the
//! answer, and the pipe between. The clock stands still.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use edge_nal::{Close, TcpShutdown};
use embassy_time_driver::Driver;
use embedded_io_async::{ErrorType, Read, Write};
use gateway::Gateway;
use gateway::http::{self, Buffers};
use gateway::machine::{About, Heap, Machine, Network, Past};

/// What a load generator sends.
const REQUEST: &[u8] =
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: load/1.0\r\nAccept: */*\r\n\r\n";

struct Clock;

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        black_box(0)
    }

    fn schedule_wake(&self, at: u64, _: &Waker) {
        black_box(at);
    }
}

/// A client that sends its next request when it is polled again.
struct Pipe {
    left: Cell<usize>,
    ready: Cell<bool>,
}

impl ErrorType for Pipe {
    type Error = Infallible;
}

impl Read for Pipe {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| {
            if self.left.get() == 0 {
                return Poll::Ready(Ok(0));
            }
            // Every other poll finds nothing, as on a wire.
            if !self.ready.replace(!self.ready.get()) {
                return Poll::Pending;
            }
            self.left.set(self.left.get() - 1);
            bytes[..REQUEST.len()].copy_from_slice(REQUEST);
            Poll::Ready(Ok(REQUEST.len()))
        })
        .await
    }
}

impl Write for Pipe {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(black_box(bytes).len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl TcpShutdown for Pipe {
    async fn close(&mut self, _: Close) -> Result<(), Infallible> {
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A machine of which nobody asks anything here.
struct Nothing;

impl Machine for Nothing {
    fn about(&self) -> &About {
        unreachable!("only /health is asked for")
    }

    fn past(&self) -> &Past {
        unreachable!("only /health is asked for")
    }

    fn network(&self) -> Network {
        unreachable!("only /health is asked for")
    }

    fn heap(&self) -> Option<Heap> {
        None
    }

    fn stolen(&self) -> Option<u64> {
        None
    }

    fn date(&self) -> Option<u64> {
        None
    }
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1000);
    let gateway = Gateway::new(Nothing, 1);
    let (mut pipe, mut buffers) =
        (Pipe { left: Cell::new(count), ready: Cell::new(false) }, Buffers::new());
    let service = &gateway;
    let mut serving = pin!(http::serve(&mut pipe, &mut buffers, &service));
    let mut context = Context::from_waker(Waker::noop());
    while serving.as_mut().poll(&mut context).is_pending() {}
    println!("{} answers", gateway.responses.total());
}
