//! An HTTP/1.1 client that trusts nothing: what a response must have, it must have.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Client(BufReader<TcpStream>);

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The header fields, names in small letters.
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// Asks for a resource.
    pub(crate) fn get(&mut self, target: &str) -> Result<Response> {
        self.ask("GET", target, "")
    }

    /// Posts `body`.
    pub(crate) fn post(&mut self, target: &str, body: &str) -> Result<Response> {
        self.ask("POST", target, body)
    }

    /// Sends a request of any method and takes the response.
    pub(crate) fn ask(&mut self, method: &str, target: &str, body: &str) -> Result<Response> {
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: elone\r\n{length}\r\n");
        self.send(head + body)?;
        let response = self.response(method);
        response.with_context(|| format!("{method} {:.60}", target.escape_debug()))
    }

    /// Sends bytes that may be a request.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.0.get_mut().write_all(bytes.as_ref()).context("sending a request")
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) -> Result<()> {
        Ok(self.0.get_mut().shutdown(std::net::Shutdown::Write)?)
    }

    /// Takes the response to a request of that method (RFC 9112, section 6.3).
    pub(crate) fn response(&mut self, method: &str) -> Result<Response> {
        let line = self.line()?;
        let (version, rest) = line.split_once(' ').context("no status line")?;
        ensure!(version == "HTTP/1.1", "the status line is {line:?}");
        let status = rest.get(..3).context("no status")?.parse()?;
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').with_context(|| format!("field {line:?}"))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response { status, fields, body: Vec::new() };
        if method == "HEAD" || status == 100 {
            return Ok(response);
        }
        match (response.field("content-length"), response.field("transfer-encoding")) {
            (Some(length), None) => {
                response.body = vec![0; length.parse()?];
                self.0.read_exact(&mut response.body)?;
            }
            (None, Some("chunked")) => response.body = self.chunks()?,
            other => bail!("the body's length is {other:?}"),
        }
        Ok(response)
    }

    /// The chunks of a body, joined (RFC 9112, section 7.1).
    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            let begin = body.len();
            body.resize(begin + length, 0);
            self.0.read_exact(&mut body[begin..])?;
            ensure!(self.line()?.is_empty(), "a chunk is longer than it says");
            if length == 0 {
                return Ok(body);
            }
        }
    }

    /// A line, without the CR and LF that must end it.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).context("reading a response")?;
        let text = line.strip_suffix("\r\n");
        text.map(str::to_owned).with_context(|| format!("the response ends at {line:?}"))
    }

    /// Waits for the server to end the connection; there must be nothing more before that.
    pub(crate) fn is_closed(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).context("waiting for a connection's end")?;
        ensure!(rest.is_empty(), "there is more: {:?}", String::from_utf8_lossy(&rest));
        Ok(())
    }
}

impl Response {
    /// The value of a header field, its name in small letters.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Checks the status.
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}: {} {}", self.status, self.text());
        Ok(self)
    }

    /// The body, which must be JSON and say so.
    pub(crate) fn json(&self) -> Result<Value> {
        let kind = self.field("content-type");
        ensure!(kind == Some("application/json"), "the content is {kind:?}");
        serde_json::from_slice(&self.body).with_context(|| self.text())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
