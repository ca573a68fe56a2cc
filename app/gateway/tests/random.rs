//! Whatever arrives: no panic, every answer to the letter, every connection ends.
#![allow(clippy::unwrap_used, reason = "what panics here fails a test")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::wire::Closed;
use common::{Client, gateway};

/// How many connections there are. Seeds are fixed: a failure names its own.
const ROUNDS: u64 = 20_000;

/// A small generator (xorshift64*), the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.next() >> 16) % end as u64).unwrap()
    }
}

/// Pieces of requests, good and bad, so that chance gets past the first byte.
const PIECES: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    "PUT ",
    "/",
    "/health",
    "/api/readings",
    "/api/status",
    "/metrics",
    "?sensor=",
    "?limit=5",
    "&since=",
    "%2",
    " HTTP/1.1",
    " HTTP/1.0",
    " HTTP/2.0",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "Host: x\r\n",
    "Content-Length: ",
    "Content-Length: 2\r\n",
    "Content-Length: 24\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    ": ",
    "0\r\n",
    "5\r\n",
    "18\r\n",
    "2;x=y\r\n",
    "fff\r\n",
    "[]",
    "{}",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\u00",
    ",",
    ":",
    "{\"sensor\":\"a\",\"value\":1}",
    "\"sensor\"",
    "\"value\"",
    "-1.5e3",
    "1e999",
    "null",
    "\0",
    "\x7f",
    "ÿ",
    "                ",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "POST /api/readings HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n{\"sensor\":\"a\",\"value\":1}",
    "POST /api/readings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
];

fn input(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..chance.below(24) {
        let piece = PIECES[chance.below(PIECES.len())].as_bytes();
        bytes.extend(piece.repeat(1 + if chance.below(40) == 0 { 200 } else { 0 }));
    }
    for _ in 0..chance.below(4) {
        if !bytes.is_empty() {
            let at = chance.below(bytes.len());
            match chance.below(3) {
                0 => bytes[at] = chance.next().to_le_bytes()[0],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, chance.next().to_le_bytes()[1]),
            }
        }
    }
    bytes
}

#[test]
fn every_connection_ends_whatever_arrives() {
    let gateway = gateway();
    let mut answered = 0;
    for seed in 1..=ROUNDS {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bytes = input(&mut chance);
        let run = catch_unwind(AssertUnwindSafe(|| end(gateway, &bytes, Chance(seed))));
        answered +=
            run.unwrap_or_else(|_| panic!("seed {seed}: {:?}", String::from_utf8_lossy(&bytes)));
    }
    // Chance must find its way in, or it tests nothing.
    assert!(answered as u64 > ROUNDS / 2, "{answered} answers");
    assert!(gateway.responses.class(2) > ROUNDS / 10 && gateway.readings.newest() > 100);
}

/// Sends the bytes in some segments, waits for the end, and returns how many answers there were.
fn end(
    gateway: &'static gateway::Gateway<common::Fake>,
    bytes: &[u8],
    mut chance: Chance,
) -> usize {
    let mut client = Client::of(gateway);
    let mut rest = bytes;
    while !rest.is_empty() && client.wire.closed() == Closed::Open {
        let (segment, after) = rest.split_at(1 + chance.below(rest.len()));
        client.send(segment);
        rest = after;
    }
    if chance.below(2) == 0 {
        client.finish();
    }
    client.wait(Duration::from_secs(200));
    assert!(client.task.ended(), "it goes on and on");
    let sent = client.wire.sent();
    if bytes.windows(4).any(|four| four == b"HEAD") {
        return 0; // How long its answers are is not to be told from the answers alone.
    }
    let responses = common::response::all(&sent, client.wire.closed());
    let codes = [200, 201, 400, 404, 405, 408, 413, 414, 431, 501, 505];
    assert!(responses.iter().all(|response| codes.contains(&response.status)));
    responses.len()
}
