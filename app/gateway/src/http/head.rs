//! A request's head: the request line and the header fields (RFC 9112, sections 2 to 5).
//!
//! `httparse` reads the grammar; here is what the fields mean together.

use core::mem::MaybeUninit;

use httparse::Error;

use super::fields::Fields;
use super::framing::Framing;
use super::{Status, limits};

/// A request's method (RFC 9110, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`, and `HEAD` too: what differs is only whether the content is sent.
    Get,
    /// `POST`.
    Post,
    /// Another registered one, which no resource here has.
    Other,
}

/// Whether the response carries its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It does.
    Sent,
    /// It was asked for by `HEAD`: the header fields alone.
    Omitted,
}

/// What becomes of the connection after the response, and what its client understands: an
/// HTTP/1.0 client knows no chunks, and wants to be told where its connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It stays, as is the rule in HTTP/1.1.
    Kept,
    /// It is closed.
    Closed,
    /// It stays because an HTTP/1.0 client asked for that.
    KeptOld,
    /// It is closed, as is the rule in HTTP/1.0.
    ClosedOld,
}

impl Persistence {
    /// The same for a connection that is closed in any case.
    #[must_use]
    pub const fn ended(self) -> Self {
        match self {
            Self::Kept | Self::Closed => Self::Closed,
            Self::KeptOld | Self::ClosedOld => Self::ClosedOld,
        }
    }
}

/// Whether the client waits for a word before it sends the content (RFC 9110, section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It does not.
    None,
    /// It waits for `100 Continue`.
    Continue,
}

/// What a head says, but for its target, which is the service's to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<R> {
    /// What the service made of method and target.
    pub(super) route: R,
    pub(super) framing: Framing,
    pub(super) content: Content,
    pub(super) persistence: Persistence,
    pub(super) expectation: Expectation,
    /// How many bytes it took, the empty line's included.
    pub(super) length: usize,
}

/// Reads a head at the front of `bytes`; `None` when more must arrive before it is whole.
pub(super) fn read<R>(
    bytes: &[u8],
    route: impl FnOnce(Method, &str) -> R,
) -> Result<Option<Head<R>>, Status> {
    let mut fields = [const { MaybeUninit::uninit() }; limits::FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return incomplete(bytes),
        // The parser gives a version up at its first strange byte; which status is right shows at
        // the line's end.
        Err(Error::Version) if !bytes.trim_ascii_start().contains(&b'\n') => {
            return incomplete(bytes);
        }
        Err(error) => return Err(malformed(error, bytes)),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Status::BadRequest);
    };
    if target.len() > limits::TARGET {
        return Err(Status::UriTooLong);
    }
    if length > limits::HEAD {
        return Err(Status::HeadersTooLarge);
    }

    let fields = Fields::read(request.headers)?;
    let framing = fields.framing()?;
    let persistence = fields.persistence(minor, framing)?;
    let (method, content) = known(method)?;
    let route = route(method, origin_form(target)?);
    let expectation = if minor == 0 { Expectation::None } else { fields.expectation() };
    Ok(Some(Head { route, framing, content, persistence, expectation, length }))
}

/// What is to be said of a head that has not ended yet: it may be too long already.
fn incomplete<R>(bytes: &[u8]) -> Result<Option<Head<R>>, Status> {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let longest = "OPTIONS ".len() + limits::TARGET + " HTTP/1.1\r".len();
    // Empty lines before the first are skipped by the parser, so a short "line" says nothing.
    if line > longest {
        return Err(Status::UriTooLong);
    }
    if bytes.len() >= limits::HEAD { Err(Status::HeadersTooLarge) } else { Ok(None) }
}

/// The status for what the parser stumbled over.
fn malformed(error: Error, bytes: &[u8]) -> Status {
    match error {
        Error::TooManyHeaders => Status::HeadersTooLarge,
        // `HTTP/2.0` is a version that we do not have; `HTTQ/1.1` is none at all.
        Error::Version => {
            let line = bytes.trim_ascii_start().split(|byte| *byte == b'\n').next();
            let version = line.and_then(|line| line.trim_ascii_end().rsplit(|b| *b == b' ').next());
            match version {
                Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
                    if major.is_ascii_digit() && minor.is_ascii_digit() =>
                {
                    Status::VersionNotSupported
                }
                _ => Status::BadRequest,
            }
        }
        _ => Status::BadRequest,
    }
}

/// The method, as far as this server tells methods apart.
fn known(method: &str) -> Result<(Method, Content), Status> {
    match method {
        "GET" => Ok((Method::Get, Content::Sent)),
        "HEAD" => Ok((Method::Get, Content::Omitted)),
        "POST" => Ok((Method::Post, Content::Sent)),
        "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => {
            Ok((Method::Other, Content::Sent))
        }
        _ => Err(Status::NotImplemented),
    }
}

/// The target's path and query. A server must also take the absolute form (RFC 9112, section
/// 3.2.2); what authority it names is all the same to a server that has one site.
fn origin_form(target: &str) -> Result<&str, Status> {
    if target.starts_with('/') || target == "*" {
        return Ok(target);
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    match scheme.map(|scheme| &target[scheme.len()..]) {
        Some(rest) => match rest.find(['/', '?']) {
            Some(end) if rest[end..].starts_with('/') => Ok(&rest[end..]),
            Some(_) => Err(Status::BadRequest),
            None => Ok("/"),
        },
        // CONNECT's form (section 3.2.3), which no resource here has.
        None if target.contains(':') && !target.contains('/') => Ok("*"),
        None => Err(Status::BadRequest),
    }
}
