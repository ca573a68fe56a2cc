//! As much of an HTTP client as measuring takes: one request, and its whole answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// How long an answer may take before it counts as none. Longer than any retransmission.
const PATIENCE: Duration = Duration::from_secs(5);
/// The ports of all clients begin here, and each has so many.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 6_000;
/// How many clients there are: those of a load, and the one that asks first.
const RANGES: u16 = 9;
/// Longer than any answer that is asked for here.
const ROOM: usize = 8192;

/// What a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// One request after another.
    Kept,
    /// One request. The connection ends with its answer.
    Once,
}

/// The ports that one client calls from, turn by turn.
///
/// The emulator passes a client's port on to the guest, whichever of its own ports was called. Two
/// clients with the same port, each at a port of the emulator's, would be one and the same for the
/// guest; so each client has a range of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    first: u16,
    count: u16,
    used: u16,
}

impl Ports {
    /// Those of client number `client` of a load; there are eight.
    pub(crate) fn of(client: u16) -> Self {
        Self { first: FIRST_PORT + client % RANGES * PORTS, count: PORTS, used: 0 }
    }

    /// Those of the client that asks for the first answer. It has just gone when a load begins: the
    /// same port, called from again, would meet what is left of its connection, and the system would
    /// try again only after a second.
    pub(crate) fn of_the_first() -> Self {
        Self::of(RANGES - 1)
    }

    fn next(&mut self) -> u16 {
        let port = self.first + self.used;
        self.used = (self.used + 1) % self.count;
        port
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Box<[u8; ROOM]>,
}

impl Client {
    /// Connects to `address` from the next of `ports`, to ask for `path`.
    pub(crate) fn connect(
        ports: &mut Ports,
        address: SocketAddr,
        path: &str,
        purpose: Use,
    ) -> io::Result<Self> {
        let stream = connect_from(ports, address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let close = match purpose {
            Use::Kept => "",
            Use::Once => "Connection: close\r\n",
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{close}\r\n");
        Ok(Self { stream, request: request.into_bytes(), buffer: Box::new([0; ROOM]) })
    }

    /// With another limit for how long an answer may take.
    pub(crate) fn patience(self, patience: Duration) -> io::Result<Self> {
        self.stream.set_read_timeout(Some(patience))?;
        Ok(self)
    }

    /// Sends the request and reads its answer to the last byte. Anything but a `200` of a known
    /// length is an error.
    pub(crate) fn ask(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.request)?;
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[length..])?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            length += read;
            let answer = &self.buffer[..length];
            match end_of_answer(answer) {
                Ok(Some(end)) if end == length => return Ok(()),
                Ok(Some(end)) if end < length => return Err(ErrorKind::InvalidData.into()),
                Ok(_) if length < ROOM => {}
                Ok(_) | Err(_) => return Err(ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Waits until the server has closed the connection too.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match self.stream.read(&mut self.buffer[..])? {
            0 => Ok(()),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }
}

/// Connects from a port of the client's own choosing; one that is in use is passed over.
fn connect_from(ports: &mut Ports, address: SocketAddr) -> io::Result<TcpStream> {
    let mut refused = io::Error::from(ErrorKind::AddrInUse);
    for _ in 0..ports.count {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        let result = socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, ports.next())).into())
            .and_then(|()| socket.connect_timeout(&address.into(), PATIENCE));
        match result {
            Ok(()) => return Ok(socket.into()),
            Err(error) => refused = error,
        }
        if !matches!(refused.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable) {
            break;
        }
    }
    Err(refused)
}

/// An answer that is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unexpected;

/// Where an answer ends that begins with `bytes`; `None` if its head is not whole yet.
fn end_of_answer(bytes: &[u8]) -> Result<Option<usize>, Unexpected> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Unexpected)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(Unexpected);
    }
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.map(|length| Some(end + 4 + length)).ok_or(Unexpected)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(end_of_answer(whole), Ok(Some(whole.len())));
        assert_eq!(end_of_answer(&whole[..20]), Ok(None));
        assert_eq!(end_of_answer(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Unexpected));
        assert_eq!(
            end_of_answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
            Err(Unexpected)
        );
    }

    #[test]
    fn an_answer_in_pieces_is_read_to_its_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /x HTTP/1.1\r\n"));
            for piece in ["HTTP/1.1 200 OK\r\nContent-", "Length: 4\r\n\r\nab", "cd"] {
                stream.write_all(piece.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        });
        let mut client = Client::connect(&mut Ports::of(7), address, "/x", Use::Once).unwrap();
        client.ask().unwrap();
        client.finish().unwrap();
        server.join().unwrap();
    }
}
