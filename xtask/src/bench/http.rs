//! As much of an HTTP client as measuring takes: one request, and its whole answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer may take before it counts as none. Longer than any retransmission.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon a client knocks again that the emulator has turned away.
const KNOCK: Duration = Duration::from_millis(2);
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

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Box<[u8; ROOM]>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, path: &str, purpose: Use) -> io::Result<Self> {
        let stream = reach(address)?;
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
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            length += read;
            let answer = &self.buffer[..length];
            match end_of_answer(answer) {
                Ok(Some(end)) if end == length => return Ok(()),
                Ok(Some(end)) if end < length => return Err(io::ErrorKind::InvalidData.into()),
                Ok(_) if length < ROOM => {}
                Ok(_) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Waits until the server has closed the connection too.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match self.stream.read(&mut self.buffer[..])? {
            0 => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Connects, one client at a time.
///
/// The emulator listens for its guests with a backlog of one. What comes while the queue is full is
/// dropped, and the client's system repeats it no sooner than after a second; and a client that was
/// let in by half, because another was faster, believes itself connected, and its first request is
/// lost a few times. Either would be measured as a guest that stalls. A guest has no part in this:
/// between two sockets of this machine connecting takes microseconds, or it does not happen.
fn reach(address: SocketAddr) -> io::Result<TcpStream> {
    static TURN: Mutex<()> = Mutex::new(());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let result = TcpStream::connect_timeout(&address, KNOCK);
        drop(turn);
        match result {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && Instant::now() < deadline => {}
            result => return result,
        }
    }
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
        let mut client = Client::connect(address, "/x", Use::Once).unwrap();
        client.ask().unwrap();
        client.finish().unwrap();
        server.join().unwrap();
    }
}
