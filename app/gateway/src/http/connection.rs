//! One connection: its requests, one after the other, to whichever end it comes.

use edge_nal::TcpShutdown;
use embedded_io_async::{Read, Write};

use super::deadline::{Alarm, Deadline};
use super::head::{self, Expectation, Head, Persistence};
use super::transfer::{Request, Stopped};
use super::{Answer, Content, Framing, Input, Output, Refusal, Service, Status, limits};

/// What a connection needs of memory, bounded. Reused for the next one.
#[derive(Debug, Default)]
pub struct Buffers {
    input: Input,
    output: Output,
}

impl Buffers {
    /// With nothing in them.
    #[must_use]
    pub const fn new() -> Self {
        Self { input: Input::new(), output: Output::new() }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In order: either side has said its last word.
    Done,
    /// The client is gone, or takes nothing any more.
    Lost,
}

/// Serves a connection to its end, which it always comes to: see [`limits`].
///
/// The stream is to be dropped after it. Dropped, it must deliver what was written and take in what
/// the client still sends, or the last word may be lost to a reset (RFC 9112, section 9.6).
pub async fn serve<S, V>(stream: &mut S, buffers: &mut Buffers, service: &V)
where
    S: Read + Write + TcpShutdown,
    V: Service,
{
    let mut connection = Connection::new(stream, buffers, service);
    let end = connection.requests().await;
    connection.end(end).await;
}

/// Tells a client that there is no room for it now, and ends the connection.
pub async fn refuse<S, V>(stream: &mut S, buffers: &mut Buffers, service: &V)
where
    S: Read + Write + TcpShutdown,
    V: Service,
{
    let mut connection = Connection::new(stream, buffers, service);
    let end = connection.refused(Refusal::new(Status::ServiceUnavailable)).await;
    connection.end(end).await;
}

pub(super) struct Connection<'a, S, V> {
    pub(super) stream: &'a mut S,
    pub(super) input: &'a mut Input,
    pub(super) output: &'a mut Output,
    pub(super) alarm: Alarm,
    /// For what is read. What is written has its own, a write at a time.
    pub(super) deadline: Deadline,
    pub(super) service: &'a V,
}

impl<'a, S, V> Connection<'a, S, V>
where
    S: Read + Write + TcpShutdown,
    V: Service,
{
    /// One that has just been accepted: nothing of an earlier one is left in the buffers.
    fn new(stream: &'a mut S, buffers: &'a mut Buffers, service: &'a V) -> Self {
        let Buffers { input, output } = buffers;
        input.clear();
        output.truncate(0);
        let (alarm, deadline) = (Alarm::default(), Deadline::new(limits::HEAD_TIME));
        Self { stream, input, output, alarm, deadline, service }
    }

    /// Answers requests until there are no more.
    async fn requests(&mut self) -> End {
        let mut waited = Waited::ForFirst;
        loop {
            if self.input.is_empty()
                && let Err(end) = self.more_of_head(&mut waited).await
            {
                return end;
            }
            match head::read(self.input.bytes(), |method, target| {
                self.service.route(method, target)
            }) {
                Ok(Some(head)) => {
                    self.input.consume(head.length);
                    if let Err(end) = self.exchange(head).await {
                        return end;
                    }
                    waited = Waited::NotYet;
                }
                Ok(None) => match self.more_of_head(&mut waited).await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
                Err(status) => return self.refused(Refusal::new(status)).await,
            }
        }
    }

    /// Reads on for a head, by the deadline that is right: a request that has begun has less time
    /// than one that has not.
    async fn more_of_head(&mut self, waited: &mut Waited) -> Result<(), End> {
        // What was answered leaves now: there is nothing more to gather.
        self.flush().await?;
        match (*waited, self.input.is_empty()) {
            (Waited::NotYet, true) => {
                self.deadline = Deadline::new(limits::IDLE_TIME);
                *waited = Waited::Idle;
            }
            (Waited::NotYet | Waited::Idle, false) => {
                self.deadline = Deadline::new(limits::HEAD_TIME);
                *waited = Waited::ForHead;
            }
            (Waited::ForFirst | Waited::Idle, true) | (Waited::ForFirst | Waited::ForHead, _) => {}
        }
        let request = if self.input.is_empty() { Request::Awaited } else { Request::Begun };
        match self.fill(request).await {
            Ok(()) => Ok(()),
            // Nothing was asked, so nothing is answered.
            Err(Stopped::Late | Stopped::Ended | Stopped::Closing) if self.input.is_empty() => {
                Err(End::Done)
            }
            Err(stopped) => Err(self.stopped(stopped).await),
        }
    }

    /// One request and its response, from the end of the head on.
    async fn exchange(&mut self, head: Head<Result<V::Route, Refusal>>) -> Result<(), End> {
        let Head { route, framing, content, persistence, expectation, .. } = head;
        if let (Err(refusal), Expectation::Continue) = (&route, expectation) {
            // The client asked before it sent anything, and need not send it at all.
            return Err(self.refused(*refusal).await);
        }
        let (length, taken) = match framing {
            Framing::Length(0) => (0, 0),
            _ => self.gather(framing, expectation).await?,
        };
        let answer = match route {
            Ok(route) => self.service.answer(route, &self.input.bytes()[..length]),
            Err(refusal) => Answer::Refused(refusal),
        };
        self.input.consume(taken);
        let persistence = if self.service.is_closing() { persistence.ended() } else { persistence };
        match self.respond(answer, content, persistence).await? {
            Persistence::Closed | Persistence::ClosedOld => {
                self.flush().await?;
                Err(End::Done)
            }
            Persistence::Kept | Persistence::KeptOld => Ok(()),
        }
    }

    /// What is said to a client whose request stopped half-way.
    pub(super) async fn stopped(&mut self, stopped: Stopped) -> End {
        match stopped {
            Stopped::Late => self.refused(Refusal::new(Status::RequestTimeout)).await,
            Stopped::Ended => {
                self.refused(Refusal::because(Status::BadRequest, "the request ends early")).await
            }
            Stopped::Lost => End::Lost,
            Stopped::Closing => End::Done,
        }
    }

    /// The last word on this connection.
    pub(super) async fn refused(&mut self, refusal: Refusal) -> End {
        let refused = Answer::Refused(refusal);
        match self.respond(refused, Content::Sent, Persistence::Closed).await {
            Ok(_) => match self.flush().await {
                Ok(()) => End::Done,
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    /// Ends the connection. One that is dropped ends as it should: what was written still arrives,
    /// and what the client still sends is thrown away. One whose client takes nothing is cut.
    async fn end(&mut self, end: End) {
        if end == End::Lost {
            let mut deadline = Deadline::new(limits::WRITE_TIME);
            // There is nobody left to tell if even this fails.
            let _ = deadline.within(&mut self.alarm, self.stream.abort()).await;
        }
    }
}

/// What has been waited for since the last request, and so has its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    /// A new connection's first request, from its first byte to its head's last.
    ForFirst,
    /// Nothing yet.
    NotYet,
    /// The next request's first byte.
    Idle,
    /// The rest of its head.
    ForHead,
}
