//! The bytes of a connection: what is read, what is written, each by its deadline.

use core::fmt::{self, Write as _};
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use edge_nal::TcpShutdown;
use embedded_io_async::{Read, Write};

use super::chunks::{Chunks, Joined};
use super::connection::{Connection, End};
use super::deadline::Deadline;
use super::{Expectation, Framing, Refusal, Service, Status, limits};

/// Whose bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Those of one of which there is something already.
    Begun,
    /// Those of the next one, which may never come.
    Awaited,
}

/// Why no more of a request arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The deadline has passed.
    Late,
    /// The client has sent all that it will.
    Ended,
    /// The connection broke.
    Lost,
    /// The service ends, and no request has begun.
    Closing,
}

/// What `work` comes to; `None` where it is not done and `is_over` says that it is not waited for.
async fn unless<T>(is_over: impl Fn() -> bool, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if is_over() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

impl<S, V> Connection<'_, S, V>
where
    S: Read + Write + TcpShutdown,
    V: Service,
{
    /// Reads what is there, or waits until there is something: where a request is only awaited, not
    /// beyond the service's end.
    pub(super) async fn fill(&mut self, request: Request) -> Result<(), Stopped> {
        let service = self.service;
        let is_over = || request == Request::Awaited && service.is_closing();
        let read = unless(is_over, self.stream.read(self.input.room()));
        match self.deadline.within(&mut self.alarm, read).await {
            Ok(Some(Ok(0))) => Err(Stopped::Ended),
            Ok(Some(Ok(length))) => {
                self.input.filled(length);
                Ok(())
            }
            Ok(Some(Err(_))) => Err(Stopped::Lost),
            Ok(None) => Err(Stopped::Closing),
            Err(_) => Err(Stopped::Late),
        }
    }

    /// Waits until the content is whole, at the front of the input: its length, and how much of
    /// the input it takes.
    pub(super) async fn gather(
        &mut self,
        framing: Framing,
        expectation: Expectation,
    ) -> Result<(usize, usize), End> {
        let mut chunks = Chunks::new();
        let mut waiting = expectation;
        let mut since = None;
        loop {
            match framing {
                Framing::Length(length) if length > limits::CONTENT => {
                    return Err(self.refused(Refusal::new(Status::ContentTooLarge)).await);
                }
                Framing::Length(length) if self.input.bytes().len() >= length => {
                    return Ok((length, length));
                }
                Framing::Length(_) => {}
                Framing::Chunked => match chunks.join(self.input.bytes_mut()) {
                    Ok(Joined::Whole { content, taken }) => return Ok((content, taken)),
                    Ok(Joined::Partly { content }) => self.input.truncate(content),
                    Err(status) => return Err(self.refused(Refusal::new(status)).await),
                },
            }
            if since.is_none() {
                self.deadline = Deadline::new(limits::CONTENT_TIME);
                since = Some(());
            }
            if waiting == Expectation::Continue {
                waiting = Expectation::None;
                self.go_on().await?;
            }
            self.flush().await?;
            if let Err(stopped) = self.fill(Request::Begun).await {
                return Err(self.stopped(stopped).await);
            }
        }
    }

    /// Tells the client that its content is wanted (RFC 9110, section 15.2.1).
    async fn go_on(&mut self) -> Result<(), End> {
        const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
        if self.output.room() < CONTINUE.len() {
            self.flush().await?;
        }
        self.output.write_str(CONTINUE).map_err(|fmt::Error| End::Lost)
    }

    /// Writes what is gathered.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.flush_front(self.output.len()).await
    }

    /// Writes the first `length` bytes of what is gathered.
    pub(super) async fn flush_front(&mut self, length: usize) -> Result<(), End> {
        let mut sent = 0;
        let mut deadline = Deadline::new(limits::WRITE_TIME);
        while sent < length {
            let write = self.stream.write(&self.output.bytes()[sent..length]);
            let written = deadline.within(&mut self.alarm, write).await.map_err(|_| End::Lost)?;
            match written {
                Ok(0) | Err(_) => return Err(End::Lost),
                Ok(written) => sent += written,
            }
        }
        self.output.drop_front(length);
        Ok(())
    }
}
