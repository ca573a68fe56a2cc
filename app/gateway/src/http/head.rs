//! A request's head: the request line and the header fields (RFC 9112, sections 2 to 5).
//!
//! `httparse` reads the grammar; here is what the fields mean together.

use core::mem::MaybeUninit;

use httparse::{Error, Header};

use super::framing::{Declared, Framing};
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
    let framing = fields.declared.framing()?;
    let persistence = fields.persistence(minor, framing)?;
    let (method, content) = known(method)?;
    let route = route(method, origin_form(target)?);
    let expectation = if minor == 0 { Expectation::None } else { fields.expectation };
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
    let Some((scheme, rest)) = target.split_once("://") else {
        // CONNECT's form (section 3.2.3), which no resource here has.
        return if target.contains(':') { Ok("*") } else { Err(Status::BadRequest) };
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Status::BadRequest);
    }
    Ok(rest.find('/').map_or("/", |slash| &rest[slash..]))
}

/// Which bytes a host and its port are made of (RFC 3986, section 3.2.2).
const HOST: [bool; 256] = {
    let mut table = [false; 256];
    let punctuation = b"-._~!$&'()*+;=:[]%";
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < punctuation.len() {
        table[punctuation[index] as usize] = true;
        index += 1;
    }
    table
};

/// What the header fields say that matters here.
struct Fields {
    declared: Declared,
    hosts: u32,
    close: Option<()>,
    keep: Option<()>,
    expectation: Expectation,
}

impl Fields {
    /// Goes through the fields once. Names are told apart by length first: most are told apart by
    /// that alone, which keeps a request with a browser's dozen of fields cheap.
    fn read(headers: &[Header<'_>]) -> Result<Self, Status> {
        let mut fields = Self {
            declared: Declared::default(),
            hosts: 0,
            close: None,
            keep: None,
            expectation: Expectation::None,
        };
        for Header { name, value } in headers {
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => fields.host(value)?,
                6 if name.eq_ignore_ascii_case("expect") => fields.expect(value),
                10 if name.eq_ignore_ascii_case("connection") => fields.connection(value),
                14 if name.eq_ignore_ascii_case("content-length") => {
                    fields.declared.content_length(value)?;
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    fields.declared.transfer_encoding(value)?;
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    /// The host is not used, but a request with none, two or a strange one is malformed (RFC
    /// 9112, section 3.2).
    fn host(&mut self, value: &[u8]) -> Result<(), Status> {
        self.hosts += 1;
        if value.iter().all(|byte| HOST[usize::from(*byte)]) {
            return Ok(());
        }
        Err(Status::BadRequest)
    }

    fn expect(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"100-continue") {
            self.expectation = Expectation::Continue;
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            match option.trim_ascii() {
                option if option.eq_ignore_ascii_case(b"close") => self.close = Some(()),
                option if option.eq_ignore_ascii_case(b"keep-alive") => self.keep = Some(()),
                _ => {}
            }
        }
    }

    /// Whether the connection stays (RFC 9112, section 9.3), given the version's minor number.
    fn persistence(&self, minor: u8, framing: Framing) -> Result<Persistence, Status> {
        match (minor, self.hosts) {
            // Chunks came with 1.1: an older sender's are a sign of a faulty relay (section 6.1).
            (0, 0 | 1) if framing == Framing::Chunked => Err(Status::BadRequest),
            (0, 0 | 1) if self.keep.is_some() && self.close.is_none() => Ok(Persistence::KeptOld),
            (0, 0 | 1) => Ok(Persistence::ClosedOld),
            (_, 1) if self.close.is_some() => Ok(Persistence::Closed),
            (_, 1) => Ok(Persistence::Kept),
            _ => Err(Status::BadRequest),
        }
    }
}
