//! How a response is written: whole where it fits, in chunks where it does not.
//!
//! How long a body is, is known once it is written; so the fields that frame it come last in the
//! head, and a gap is left for them. A body that fits into the output is then framed by its
//! length, and leaves in one write together with its head. One that does not is sent in chunks,
//! or, to an HTTP/1.0 client, up to the connection's end.

use core::fmt::{self, Write as _};

use edge_nal::TcpShutdown;
use embedded_io_async::{Read, Write};

use super::connection::{Connection, End};
use super::output::decimal;
use super::{
    Answer, Body, Content, Output, Persistence, Progress, Refusal, Service, Status, limits,
};

/// What goes with a refusal.
const REFUSAL_FIELDS: &str = "Content-Type: application/json\r\nCache-Control: no-store\r\n\
                              X-Content-Type-Options: nosniff\r\n";

/// The field that tells the client that the connection ends.
const CLOSE: &str = "Connection: close\r\n";
/// The field that tells an HTTP/1.0 client that it does not.
const KEEP: &str = "Connection: keep-alive\r\n";
/// The framing of a body whose length is not known.
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";
/// A chunk's size in hexadecimal digits, and the line's end.
const CHUNK_HEAD: usize = 5;
const _: () = assert!(limits::OUTPUT < 0x1000, "a chunk's size has three digits");
/// A chunk's end and the last chunk.
const CHUNK_TAIL: &str = "\r\n0\r\n\r\n";
/// The longest that the fields in the gap can be, with the first chunk's head.
const GAP: usize = KEEP.len() + CHUNKED.len() + CHUNK_HEAD;
/// The longest head without those: see [`Answer::Content`].
const HEAD: usize = 1200;

/// How a body that does not fit is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Streamed {
    /// In chunks; this one starts there.
    Chunks { start: usize },
    /// By the connection's end.
    UntilClose,
}

/// A body, the service's or our own.
enum Source<B> {
    Service(B),
    Refusal(Refusal),
}

impl<B: Body> Body for Source<B> {
    fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        match self {
            Self::Service(body) => body.write(output),
            Self::Refusal(refusal) => refusal.write(output),
        }
    }
}

impl<S, V> Connection<'_, S, V>
where
    S: Read + Write + TcpShutdown,
    V: Service,
{
    /// Writes a response into the output, and out where it does not fit. Returns what becomes of
    /// the connection, which may be less than was hoped for.
    pub(super) async fn respond(
        &mut self,
        answer: Answer<V::Body>,
        content: Content,
        persistence: Persistence,
    ) -> Result<Persistence, End> {
        let (status, fields, allow, body) = match answer {
            Answer::Content { status, fields, body } => {
                (status, fields, None, Source::Service(body))
            }
            Answer::Refused(refusal) => {
                (refusal.status, REFUSAL_FIELDS, refusal.allow, Source::Refusal(refusal))
            }
        };
        self.service.answered(status);
        if self.output.room() < HEAD + GAP {
            self.flush().await?;
        }
        let start = self.output.len();
        head(self.output, status, fields, allow).map_err(|fmt::Error| End::Lost)?;
        self.body(body, start, content, persistence).await
    }

    /// Writes what comes after the head's own fields. The response starts at `start`.
    async fn body(
        &mut self,
        mut body: Source<V::Body>,
        mut start: usize,
        content: Content,
        persistence: Persistence,
    ) -> Result<Persistence, End> {
        let mut gap = self.output.len();
        self.output.open_gap(GAP).map_err(|fmt::Error| End::Lost)?;
        loop {
            match fill(&mut body, self.output) {
                Progress::Done => {
                    let length = self.output.len() - gap - GAP;
                    let mut digits = [0; 20];
                    self.output.close_gap(
                        gap,
                        GAP,
                        &[
                            connection(persistence),
                            b"Content-Length: ",
                            decimal(length as u64, &mut digits),
                            b"\r\n\r\n",
                        ],
                    );
                    if content == Content::Omitted {
                        self.output.truncate(self.output.len() - length);
                    }
                    return Ok(persistence);
                }
                // Earlier responses are in the way: they leave, and it may fit yet.
                Progress::More if start > 0 => {
                    self.flush_front(start).await?;
                    gap -= start;
                    start = 0;
                }
                Progress::More => break,
            }
        }
        self.stream_body(body, gap, content, persistence).await
    }

    /// Goes on with a body that does not fit into the output, which it has filled.
    async fn stream_body(
        &mut self,
        mut body: Source<V::Body>,
        gap: usize,
        content: Content,
        persistence: Persistence,
    ) -> Result<Persistence, End> {
        let length = self.output.len() - gap - GAP;
        let (mut streamed, persistence) = match persistence {
            Persistence::Kept | Persistence::Closed => {
                let first: &[u8] = if content == Content::Sent { b"000\r\n" } else { b"" };
                let pieces = [connection(persistence), CHUNKED.as_bytes(), first];
                self.output.close_gap(gap, GAP, &pieces);
                let start = self.output.len() - length - CHUNK_HEAD;
                (Streamed::Chunks { start }, persistence)
            }
            Persistence::KeptOld | Persistence::ClosedOld => {
                self.output.close_gap(gap, GAP, &[CLOSE.as_bytes(), b"\r\n"]);
                (Streamed::UntilClose, Persistence::ClosedOld)
            }
        };
        if content == Content::Omitted {
            self.output.truncate(self.output.len() - length);
            return Ok(persistence);
        }
        loop {
            end_chunk(self.output, streamed, "\r\n");
            self.flush().await?;
            if let Streamed::Chunks { start } = &mut streamed {
                *start = 0;
                self.output.open_gap(CHUNK_HEAD).map_err(|fmt::Error| End::Lost)?;
            }
            let empty = self.output.len();
            match fill(&mut body, self.output) {
                Progress::Done => {
                    end_chunk(self.output, streamed, CHUNK_TAIL);
                    return Ok(persistence);
                }
                // A piece that an empty output does not hold would never end.
                Progress::More if self.output.len() == empty => return Err(End::Lost),
                Progress::More => {}
            }
        }
    }
}

/// Writes the status line and the fields that do not frame the body.
fn head(
    output: &mut Output,
    status: Status,
    fields: &str,
    allow: Option<&'static str>,
) -> fmt::Result {
    output.write_str(status.line())?;
    output.write_str(fields)?;
    if let Some(methods) = allow {
        write!(output, "Allow: {methods}\r\n")?;
    }
    if status == Status::ServiceUnavailable {
        output.write_str("Retry-After: 5\r\n")?;
    }
    Ok(())
}

/// Writes pieces of `body` until it is done or the next one does not fit, and leaves room for a
/// chunk's end.
fn fill<B: Body>(body: &mut B, output: &mut Output) -> Progress {
    output.reserve(CHUNK_TAIL.len());
    let progress = loop {
        let before = output.len();
        match body.write(output) {
            Ok(Progress::Done) => break Progress::Done,
            Ok(Progress::More) => {}
            Err(fmt::Error) => {
                output.truncate(before);
                break Progress::More;
            }
        }
    };
    output.reserve(0);
    progress
}

/// Ends the chunk that was begun, if any was: its size at its head, `tail` behind it. An empty
/// chunk would be the last, so of one that ends up empty only what ends the body is kept.
fn end_chunk(output: &mut Output, streamed: Streamed, tail: &str) {
    let Streamed::Chunks { start } = streamed else { return };
    let size = output.len() - start - CHUNK_HEAD;
    if size == 0 {
        output.truncate(start);
        let last = tail.strip_prefix("\r\n").unwrap_or("");
        let _ = output.write_str(last);
        return;
    }
    let digit = |shift: usize| b"0123456789abcdef"[(size >> shift) & 0xf];
    output.overwrite(start, &[digit(8), digit(4), digit(0), b'\r', b'\n']);
    // There is room: `fill` has kept it.
    let _ = output.write_str(tail);
}

/// What the client is told of the connection: nothing where the rule holds.
fn connection(persistence: Persistence) -> &'static [u8] {
    match persistence {
        Persistence::Kept => b"",
        Persistence::KeptOld => KEEP.as_bytes(),
        Persistence::Closed | Persistence::ClosedOld => CLOSE.as_bytes(),
    }
}
