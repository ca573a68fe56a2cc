//! Responses taken apart again, strictly: what is not to the letter fails the test.

use super::wire::Closed;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the header field of that name, which is there once at most.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// All responses in what a server sent; interim ones are left out.
pub fn all(mut sent: &[u8], closed: Closed) -> Vec<Response> {
    let mut responses = Vec::new();
    while !sent.is_empty() {
        let (response, rest) = one(sent, closed, true);
        sent = rest;
        if response.status != 100 {
            responses.push(response);
        }
    }
    responses
}

/// The first response, and what follows it. `bodied` is false where the request was a `HEAD`.
pub fn one(sent: &[u8], closed: Closed, bodied: bool) -> (Response, &[u8]) {
    let end = sent.windows(4).position(|four| four == b"\r\n\r\n").expect("a head that ends");
    let head = std::str::from_utf8(&sent[..end]).unwrap();
    let rest = &sent[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
    let (status, words) = status.split_once(' ').unwrap();
    assert!(!words.is_empty());
    let fields = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut response = Response { status: status.parse().unwrap(), fields, body: Vec::new() };

    let length = response.field("Content-Length").map(|length| length.parse::<usize>().unwrap());
    let coding = response.field("Transfer-Encoding");
    let rest = match (length, coding) {
        (Some(_), Some(_)) => panic!("framed twice"),
        _ if !bodied || response.status == 100 => rest,
        (Some(length), None) => {
            response.body = rest[..length].to_vec();
            &rest[length..]
        }
        (None, Some("chunked")) => {
            let (body, rest) = joined(rest);
            response.body = body;
            rest
        }
        (None, Some(other)) => panic!("unknown coding {other}"),
        (None, None) => {
            assert_ne!(closed, Closed::Open, "no framing on a connection that stays");
            response.body = rest.to_vec();
            &[]
        }
    };
    (response, rest)
}

fn joined(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        body.extend_from_slice(&rest[..size]);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
        if size == 0 {
            return (body, rest);
        }
    }
}
