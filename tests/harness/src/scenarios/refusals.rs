//! What the gateway refuses, over real connections: with the right status and words, and it goes
//! on after each.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::gateway::{boot, client};
use crate::http::{Client, Response};
use crate::random::Random;
use crate::scenario::scenarios;
use crate::{Context, Guest, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["refusals":
    Quick malformed_requests_are_refused_and_named,
    Quick what_is_too_large_is_refused,
    Quick other_methods_are_refused_by_name,
    Quick bad_json_is_refused_with_field_and_place,
    Quick a_refused_batch_leaves_nothing_behind,
    Quick half_a_request_is_refused_when_it_ends,
    Quick connections_beyond_the_limit_are_told_so,
    Quick random_bytes_end_nothing,
    Long half_a_request_is_refused_in_time,
];

const POST: &str = "POST /api/readings HTTP/1.1\r\nHost: e\r\n";

/// Sends each request on a connection of its own, in which the status must come back; sees that the
/// connection ends where the request's end cannot be known, and that the gateway serves on.
fn refused(context: &Context, requests: &[(u16, &str)]) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    for (status, request) in requests {
        let mut client = client(&mut guest)?;
        client.send(request)?;
        let response = client.response("GET").and_then(|response| response.expect(*status));
        let response = response.with_context(|| format!("{:.80}", request.escape_debug()))?;
        says_why(&response)?;
        if response.field("connection") == Some("close") {
            client.is_closed()?;
        } else {
            client.get("/health")?.expect(200)?;
        }
        serves(&mut guest)?;
    }
    ensure!(!guest.console().contains("FAULT"), "{}", guest.console());
    Ok(())
}

/// A refusal is JSON, and says what is wrong.
fn says_why(response: &Response) -> Result<()> {
    let why = response.json()?;
    ensure!(why["error"].as_str().is_some_and(|words| !words.is_empty()), "no reason: {why}");
    Ok(())
}

fn serves(guest: &mut Guest) -> Result<()> {
    client(guest)?.get("/health")?.expect(200).map(drop)
}

fn malformed_requests_are_refused_and_named(context: &Context) -> Result<()> {
    refused(
        context,
        &[
            (400, "\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03 TLS\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\n\r\n"), // no host
            (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            (400, "GET  / HTTP/1.1\r\nHost: e\r\n\r\n"),
            (400, "GET / HTTQ/1.1\r\nHost: e\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost : e\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nno colon\r\n\r\n"),
            (400, &format!("{POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n")),
            (400, &format!("{POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}")),
            (400, &format!("{POST}Content-Length: -2\r\n\r\n")),
            (400, &format!("{POST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n")),
            (404, "GET /nowhere HTTP/1.1\r\nHost: e\r\n\r\n"),
            (404, "GET /../etc/passwd HTTP/1.1\r\nHost: e\r\n\r\n"),
            (400, "GET /api/readings?limit=0 HTTP/1.1\r\nHost: e\r\n\r\n"),
            (400, "GET /api/readings?since=x HTTP/1.1\r\nHost: e\r\n\r\n"),
            (501, "BREW /pot HTTP/1.1\r\nHost: e\r\n\r\n"),
            (501, &format!("{POST}Transfer-Encoding: gzip\r\n\r\n")),
            (505, "GET / HTTP/2.0\r\nHost: e\r\n\r\n"),
        ],
    )
}

fn what_is_too_large_is_refused(context: &Context) -> Result<()> {
    let long = "x".repeat(1_100);
    let head = "GET / HTTP/1.1\r\nHost: e\r\n";
    let fields: String = (0..60).map(|number| format!("X-{number}: 1\r\n")).collect();
    let readings = vec![r#"{"sensor":"a","value":1}"#; 101].join(",");
    let length = readings.len() + 2;
    refused(
        context,
        &[
            (413, &format!("{POST}Content-Length: 4097\r\n\r\n")),
            (413, &format!("{POST}Content-Length: 99999999999999999999999\r\n\r\n")),
            (413, &format!("{POST}Transfer-Encoding: chunked\r\n\r\nfffff\r\n")),
            (413, &format!("{POST}Content-Length: {length}\r\n\r\n[{readings}]")),
            (414, &format!("GET /{long} HTTP/1.1\r\nHost: e\r\n\r\n")),
            (414, &format!("GET /{}", "x".repeat(5_000))),
            (431, &format!("{head}X: {}\r\n\r\n", "y".repeat(5_000))),
            (431, &format!("{head}{fields}\r\n")),
        ],
    )
}

fn other_methods_are_refused_by_name(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    for (method, target, allow) in [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("PUT", "/health", "GET, HEAD"),
        ("PATCH", "/api/status", "GET, HEAD"),
        ("DELETE", "/api/readings", "GET, HEAD, POST"),
        ("OPTIONS", "/api/readings", "GET, HEAD, POST"),
    ] {
        let response = client.ask(method, target, "")?.expect(405)?;
        ensure!(response.field("allow") == Some(allow), "{method} {target}: {response:?}");
        says_why(&response)?;
    }
    client.get("/health")?.expect(200).map(drop)
}

/// The field is named, and the place, by byte, line and index; the connection stays.
fn bad_json_is_refused_with_field_and_place(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    for (body, words, field, at, line, index) in [
        (r#"{"sensor": 5, "value": 1}"#, "string", Some("sensor"), 11, 1, None),
        (r#"{"sensor": "a b", "value": 1}"#, "letters", Some("sensor"), 11, 1, None),
        ("{\"sensor\": \"a\",\n \"value\": \"x\"}", "number", Some("value"), 26, 2, None),
        (r#"{"sensor": "a"}"#, "missing", Some("value"), 0, 1, None),
        (
            r#"[{"sensor": "a", "value": 1}, {"value": 2}]"#,
            "missing",
            Some("sensor"),
            30,
            1,
            Some(1),
        ),
        (r#"{"sensor": "a", "value": 1, "colour": 2}"#, "unknown", Some("colour"), 28, 1, None),
        (r#"{"sensor": "a", "value": 1, "value": 2}"#, "twice", Some("value"), 28, 1, None),
        (r#"{"sensor": "a", "value": 1} x"#, "", None, 28, 1, None),
        ("5", "object", None, 0, 1, None),
    ] {
        let why = client.post("/api/readings", body)?.expect(400)?.json()?;
        let said = why["error"].as_str().context("no reason")?;
        ensure!(said.contains(words), "{body}: no {words:?} in {why}");
        ensure!(why["field"].as_str() == field, "{body}: expected {field:?}: {why}");
        ensure!(why["at"] == at && why["line"] == line, "{body}: expected byte {at}: {why}");
        ensure!(why["index"].as_u64() == index, "{body}: expected index {index:?}: {why}");
    }
    for body in ["", "{", "[", "nul", "{\"sensor\": \"a", "\u{0}", "[[[[[[[[[[[[[[", "1e999"] {
        let body = if body.is_empty() { " " } else { body };
        says_why(&client.post("/api/readings", body)?.expect(400)?)?;
    }
    let list = client.get("/api/readings")?.expect(200)?.json()?;
    ensure!(list["newest"] == 0, "something was stored: {list}");
    Ok(())
}

fn a_refused_batch_leaves_nothing_behind(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut client = client(&mut guest)?;
    let batch = r#"[{"sensor": "a", "value": 1}, {"sensor": "b", "value": true}]"#;
    let why = client.post("/api/readings", batch)?.expect(400)?.json()?;
    ensure!(why["index"] == 1 && why["field"] == "value", "{why}");
    let list = client.get("/api/readings")?.expect(200)?.json()?;
    ensure!(list["newest"] == 0, "half a batch was stored: {list}");
    Ok(())
}

fn half_a_request_is_refused_when_it_ends(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    for half in [
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: e\r\n",
        "POST /api/readings HTTP/1.1\r\nHost: e\r\nContent-Length: 50\r\n\r\n{\"sensor\"",
    ] {
        let mut client = client(&mut guest)?;
        client.send(half)?;
        client.finish()?;
        let response = client.response("GET").and_then(|response| response.expect(400));
        response.with_context(|| format!("{:?}", half.escape_debug()))?;
        client.is_closed()?;
    }
    serves(&mut guest)
}

/// By the clock, in about 10 s (`app/gateway/src/http/limits.rs`), with a word about it; meanwhile
/// others are served. Whoever connects and asks nothing is let go without a word.
fn half_a_request_is_refused_in_time(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let (mut head, mut content) = (client(&mut guest)?, client(&mut guest)?);
    let mut silent = client(&mut guest)?;
    let begin = Instant::now();
    head.send("GET / HTTP/1.1\r\nHo")?;
    content.send(format!("{POST}Content-Length: 50\r\n\r\n{{\"sensor\""))?;
    serves(&mut guest)?;
    for client in [&mut head, &mut content] {
        let response = client.response("GET")?.expect(408)?;
        says_why(&response)?;
        client.is_closed()?;
    }
    silent.is_closed()?;
    ensure!(begin.elapsed().as_secs() >= 5, "nobody was given time");
    serves(&mut guest)
}

/// 32 are served at a time (`app/gateway/src/attend.rs`); the next are told 503, and once places
/// are free new ones are served.
fn connections_beyond_the_limit_are_told_so(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    for _round in 0..3 {
        let mut served: Vec<Client> = Vec::new();
        for _ in 0..32 {
            let mut client = client(&mut guest)?;
            client.get("/health")?.expect(200)?;
            served.push(client);
        }
        for _ in 0..6 {
            let mut beyond = client(&mut guest)?;
            let response = beyond.response("GET")?.expect(503)?;
            says_why(&response)?;
            beyond.is_closed()?;
        }
        // Those inside do not notice.
        for client in &mut served {
            client.get("/health")?.expect(200)?;
        }
        let status = served[0].get("/api/status")?.expect(200)?.json()?;
        ensure!(status["connections"]["open"] == 32, "{status}");
        for mut client in served {
            client.finish()?;
            client.is_closed()?;
        }
        serves(&mut guest)?;
    }
    Ok(())
}

/// From a fixed seed: each connection gets bytes that are partly a request, and ends.
fn random_bytes_end_nothing(context: &Context) -> Result<()> {
    let mut guest = boot(context, "qemu-virt")?;
    let mut random = Random::new(0x5eed);
    for _ in 0..200 {
        let mut request =
            format!("{POST}Content-Length: 30\r\n\r\n{{\"sensor\": \"a\", \"value\": 1}}   ");
        request.truncate(random.below(request.len() + 1));
        let mut bytes = request.into_bytes();
        for _ in 0..random.below(8) {
            let place = random.below(bytes.len() + 1);
            let length = 1 + random.below(3);
            let junk = random.bytes(length);
            bytes.splice(place..place, junk);
        }
        let mut client = client(&mut guest)?;
        // It may be refused before all is sent.
        let _ = client.send(&bytes).and_then(|()| client.finish());
        let _ = client.response("GET");
    }
    serves(&mut guest)?;
    ensure!(!guest.console().contains("FAULT"), "{}", guest.console());
    Ok(())
}
