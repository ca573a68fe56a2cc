//! What a request's header fields mean together.

use httparse::Header;

use super::framing::{Declared, Framing};
use super::{Expectation, Persistence, Status};

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
pub(super) struct Fields {
    declared: Declared,
    hosts: u32,
    close: Option<()>,
    keep: Option<()>,
    expectation: Expectation,
}

impl Fields {
    /// Goes through the fields once. Names are told apart by length first: most are told apart by
    /// that alone, which keeps a request with a browser's dozen of fields cheap.
    pub(super) fn read(headers: &[Header<'_>]) -> Result<Self, Status> {
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

    /// How the content is delimited.
    pub(super) fn framing(&self) -> Result<Framing, Status> {
        self.declared.framing()
    }

    /// Whether the client waits for a word.
    pub(super) const fn expectation(&self) -> Expectation {
        self.expectation
    }

    /// Whether the connection stays (RFC 9112, section 9.3), given the version's minor number.
    pub(super) fn persistence(&self, minor: u8, framing: Framing) -> Result<Persistence, Status> {
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
