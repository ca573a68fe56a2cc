//! Raw requests and what exactly they are answered with.
#![allow(clippy::unwrap_used, reason = "what panics here fails a test")]

mod common;

use common::wire::Closed;
use common::{Client, get, post, response};

/// A request line and header fields, with `Host` and the end.
fn with(line: &str, fields: &str) -> String {
    format!("{line}\r\nHost: gateway\r\n{fields}\r\n")
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_request_has_its_status() {
    let many_fields: String = (0..60).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let store = "POST /api/readings HTTP/1.1";
    let table: Vec<(u16, String)> = vec![
        // What is there.
        (200, with("GET / HTTP/1.1", "")),
        (200, with("GET /health HTTP/1.1", "")),
        (200, with("GET /metrics HTTP/1.1", "")),
        (200, with("GET /api/status HTTP/1.1", "")),
        (200, with("GET /api/readings HTTP/1.1", "")),
        (200, with("GET /api/readings?sensor=a%2Fb&limit=5&since=0 HTTP/1.1", "")),
        (200, with("GET /?x=y HTTP/1.1", "")),
        (200, with("GET http://gateway/health HTTP/1.1", "")),
        (200, with("GET HTTP://gateway HTTP/1.1", "")),
        (200, with("GET https://gateway:443/health?x HTTP/1.1", "")),
        (200, "\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        (200, "GET /health HTTP/1.1\nHost: x\n\n".into()),
        (200, "GET /health HTTP/1.0\r\n\r\n".into()),
        (200, with("GET /health HTTP/1.1", "Content-Length: 3\r\n") + "abc"),
        (201, with(store, "Content-Length: 2\r\n") + "[]"),
        (201, with(store, chunked) + "2\r\n[]\r\n0\r\n\r\n"),
        (201, with(store, chunked) + "1;x=\"y z\"\r\n[\r\n01\r\n]\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
        (201, with(store, "transfer-encoding:  CHUNKED \r\n") + "2\r\n[]\r\n0\r\n\r\n"),
        // What is not.
        (404, with("GET /nothing HTTP/1.1", "")),
        (404, with("GET /health/ HTTP/1.1", "")),
        (404, with("GET //health HTTP/1.1", "")),
        (404, with("GET /%68ealth HTTP/1.1", "")),
        (404, with("OPTIONS * HTTP/1.1", "")),
        (404, with("CONNECT gateway:80 HTTP/1.1", "")),
        (405, with("DELETE / HTTP/1.1", "")),
        (405, with("POST /health HTTP/1.1", "Content-Length: 0\r\n")),
        (405, with("PUT /api/readings HTTP/1.1", "Content-Length: 2\r\n") + "[]"),
        // Malformed lines and fields.
        (400, "GET\r\n\r\n".into()),
        (400, "GET /health\r\n\r\n".into()),
        (400, with("GET  /health HTTP/1.1", "")),
        (400, with("GET /health HTTP/1.1 ", "")),
        (400, with("GET /he\x01alth HTTP/1.1", "")),
        (400, with("GET health HTTP/1.1", "")),
        (400, with("GET ftp://x/ HTTP/1.1", "")),
        (400, with("GET http://x?y=/health HTTP/1.1", "")),
        (400, with("G(T /health HTTP/1.1", "")),
        (400, with("GET /health HTTQ/1.1", "")),
        (400, with("GET /health HTTP/1.1", "Name : value\r\n")),
        (400, with("GET /health HTTP/1.1", ": value\r\n")),
        (400, with("GET /health HTTP/1.1", "no colon\r\n")),
        (400, with("GET /health HTTP/1.1", "A: b\r\n folded\r\n")),
        (400, with("GET /health HTTP/1.1", "A: b\rc\r\n")),
        (400, with("GET /health HTTP/1.1", "A: b\0c\r\n")),
        (400, "GET /health HTTP/1.1\r\n\r\n".into()),
        (400, with("GET /health HTTP/1.1", "Host: other\r\n")),
        (400, "GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n".into()),
        // Framing that could be read in two ways.
        (400, with(store, "Content-Length: 2\r\nContent-Length: 2\r\n") + "[]"),
        (400, with(store, "Content-Length: 2, 2\r\n") + "[]"),
        (400, with(store, "Content-Length: +2\r\n") + "[]"),
        (400, with(store, "Content-Length: -2\r\n") + "[]"),
        (400, with(store, "Content-Length: 0x2\r\n") + "[]"),
        (400, with(store, "Content-Length: 2 2\r\n") + "[]"),
        (400, with(store, "Content-Length:\r\n") + "[]"),
        (400, with(store, "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")),
        (400, with(store, "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n")),
        (400, with(store, "Transfer-Encoding: chunked, chunked\r\n")),
        (400, with(store, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        (400, with(store, "Transfer-Encoding:\r\n")),
        (400, "POST /api/readings HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into()),
        (501, with(store, "Transfer-Encoding: gzip\r\n")),
        (501, with(store, "Transfer-Encoding: gzip, chunked\r\n")),
        (501, with(store, "Transfer-Encoding: xchunked\r\n")),
        // Chunks.
        (400, with(store, chunked) + "\r\n"),
        (400, with(store, chunked) + "g\r\n"),
        (400, with(store, chunked) + "-2\r\n"),
        (400, with(store, chunked) + "0x2\r\n"),
        (400, with(store, chunked) + "2 \r\n"),
        (400, with(store, chunked) + "2\n[]"),
        (400, with(store, chunked) + "2\r\n[]x"),
        (400, with(store, chunked) + "2\r\n[]\n"),
        (400, with(store, chunked) + "2;\x01\r\n"),
        (400, with(store, chunked) + "0\r\nA\rB\r\n\r\n"),
        (400, with(store, chunked) + "2;" + &long(300) + "\r\n"),
        (400, with(store, chunked) + "0\r\nA: " + &long(300) + "\r\n"),
        // Too much.
        (413, with(store, "Content-Length: 4097\r\n")),
        (413, with(store, "Content-Length: 99999999999999999999999999\r\n")),
        (413, with(store, chunked) + "1001\r\n"),
        (413, with(store, chunked) + "fffff\r\n"),
        (413, with(store, chunked) + "fff\r\n" + &long(0xfff) + "\r\n2\r\n"),
        (414, with(&format!("GET /{} HTTP/1.1", long(1024)), "")),
        (414, format!("GET /{}", long(1100))),
        (414, long(4096).replacen("xxxx", "GET ", 1)),
        (431, with("GET /health HTTP/1.1", &format!("A: {}\r\n", long(4096)))),
        (431, with("GET /health HTTP/1.1", &many_fields)),
        // What we do not have.
        (501, with("BREW /health HTTP/1.1", "")),
        (501, with("get /health HTTP/1.1", "")),
        (505, with("GET /health HTTP/2.0", "")),
        (505, with("GET /health HTTP/1.2", "")),
        (505, with("GET /health HTTP/0.9", "")),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        // Queries.
        (400, with("GET /api/readings?limit=0 HTTP/1.1", "")),
        (400, with("GET /api/readings?limit=1025 HTTP/1.1", "")),
        (400, with("GET /api/readings?limit=ten HTTP/1.1", "")),
        (400, with("GET /api/readings?since=-1 HTTP/1.1", "")),
        (400, with("GET /api/readings?limit=1&limit=1 HTTP/1.1", "")),
        (400, with("GET /api/readings?colour=red HTTP/1.1", "")),
        (400, with("GET /api/readings?sensor= HTTP/1.1", "")),
        (400, with("GET /api/readings?sensor=%zz HTTP/1.1", "")),
        (400, with("GET /api/readings?sensor=%f0%9f HTTP/1.1", "")),
    ];
    for (status, request) in table {
        let mut client = Client::new();
        client.send(&request);
        assert_eq!(client.statuses(), [status], "{request:?}");
        let refused = client.responses().remove(0);
        if status >= 400 {
            assert_eq!(refused.field("Content-Type"), Some("application/json"));
            assert!(refused.text().starts_with("{\"error\":\""), "{}", refused.text());
        }
        // And the same again, byte by byte.
        let mut slow = Client::new();
        for byte in request.bytes() {
            if slow.wire.closed() != Closed::Open {
                break;
            }
            slow.send([byte]);
        }
        assert_eq!(slow.statuses(), [status], "byte by byte: {request:?}");
    }
}

#[test]
fn methods_that_a_resource_has_are_named() {
    let gateway = common::gateway();
    let allow = |line: &str| {
        let response = common::ask(gateway, with(line, ""));
        response.field("Allow").map(str::to_owned)
    };
    assert_eq!(allow("PATCH /metrics HTTP/1.1").as_deref(), Some("GET, HEAD"));
    assert_eq!(allow("DELETE /api/readings HTTP/1.1").as_deref(), Some("GET, HEAD, POST"));
    assert_eq!(allow("GET /nothing HTTP/1.1"), None);
}

#[test]
fn a_request_split_anywhere_is_the_same_request() {
    let content = "{\"sensor\":\"a\",\"value\":1.5}";
    let requests = [
        with("GET /api/readings HTTP/1.1", "Accept: */*\r\n"),
        with("POST /api/readings HTTP/1.1", "Content-Length: 26\r\n") + content,
        with("POST /api/readings HTTP/1.1", "Transfer-Encoding: chunked\r\n")
            + "5;a=b\r\n{\"sen\r\n15\r\nsor\":\"a\",\"value\":1.5}\r\n0\r\nT: x\r\n\r\n",
        with("GET /nothing HTTP/1.1", "") + &with("GET /health HTTP/1.1", ""),
    ];
    for request in &requests {
        let mut whole = Client::new();
        whole.send(request);
        let expected = whole.responses();
        assert!(expected.len() == 1 || request.contains("/nothing"));
        for split in 1..request.len() {
            let mut client = Client::new();
            client.send(&request[..split]).send(&request[split..]);
            assert_eq!(client.responses(), expected, "split at {split} of {request:?}");
            assert_eq!(client.wire.closed(), Closed::Open);
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_together() {
    let mut client = Client::new();
    let some = with("GET /health HTTP/1.1", "") + &with("GET /nothing HTTP/1.1", "");
    client.send(some.repeat(5));
    assert_eq!(client.statuses(), [200, 404].repeat(5));
    assert_eq!(client.wire.writes(), 1);
    // More than the output holds leaves in as few writes as it can.
    let many = Client::new().send(with("GET /health HTTP/1.1", "").repeat(100)).wire.clone();
    let length = many.sent().len();
    assert!(many.writes() <= length / 1200 + 1, "{} writes of {length} bytes", many.writes());
}

#[test]
fn a_connection_is_kept_as_its_version_and_its_client_want() {
    let kept = Closed::Open;
    for (request, closed, field) in [
        (with("GET /health HTTP/1.1", ""), kept, None),
        (with("GET /nothing HTTP/1.1", ""), kept, None),
        (with("GET / HTTP/1.1", ""), kept, None),
        (with("GET /health HTTP/1.1", "Connection: keep-alive\r\n"), kept, None),
        (with("GET /health HTTP/1.1", "Connection: close\r\n"), Closed::Both, Some("close")),
        (with("GET /health HTTP/1.1", "Connection: x, CLOSE\r\n"), Closed::Both, Some("close")),
        (with("GET / HTTP/1.1", "Connection: close\r\n"), Closed::Both, Some("close")),
        (with("GET /health HTTP/1.0", ""), Closed::Both, Some("close")),
        (with("GET / HTTP/1.0", ""), Closed::Both, Some("close")),
        (with("GET /health HTTP/1.0", "Connection: Keep-Alive\r\n"), kept, Some("keep-alive")),
        // Without chunks there is but one way to end what is long.
        (with("GET / HTTP/1.0", "Connection: keep-alive\r\n"), Closed::Both, Some("close")),
        (with("GET /health HTTP/1.1", "Content-Length: x\r\n"), Closed::Both, Some("close")),
    ] {
        let mut client = Client::new();
        client.send(&request);
        assert_eq!(client.wire.closed(), closed, "{request:?}");
        let response = client.responses().remove(0);
        assert_eq!(response.field("Connection"), field, "{request:?}");
        let chunks = response.field("Transfer-Encoding").is_some();
        assert!(!chunks || request.contains("HTTP/1.1"), "{request:?}");
    }
}

#[test]
fn what_follows_the_last_request_is_not_served() {
    let mut client = Client::new();
    let last = with("GET /health HTTP/1.1", "Connection: close\r\n");
    client.send(last + &with("GET /health HTTP/1.1", ""));
    assert_eq!(client.statuses(), [200]);
    // Nor is what follows a malformed one: it may be part of it.
    let mut client = Client::new();
    client.send(with("POST / HTTP/1.1", "Content-Length: 1, 1\r\n") + &with("GET / HTTP/1.1", ""));
    assert_eq!(client.statuses(), [400]);
    assert_eq!(client.wire.closed(), Closed::Both);
    assert!(client.task.ended());
}

#[test]
fn hundreds_of_requests_fit_one_connection() {
    let gateway = common::gateway();
    let mut client = Client::of(gateway);
    for _ in 0..500 {
        client.send(with("GET /health HTTP/1.1", ""));
    }
    assert_eq!(client.statuses(), [200; 500]);
    assert_eq!(client.wire.writes(), 500);
    assert_eq!(gateway.responses.class(2), 500);
}

#[test]
fn head_is_get_without_the_content() {
    for target in ["/", "/health", "/metrics", "/api/status", "/api/readings"] {
        let gateway = common::gateway();
        let with_content = get(gateway, target);
        let mut client = Client::of(gateway);
        client.send(with(&format!("HEAD {target} HTTP/1.1"), ""));
        let sent = client.wire.sent();
        let (head, rest) = response::one(&sent, Closed::Open, false);
        assert_eq!(rest, b"", "{target}");
        assert_eq!(head.status, 200);
        assert_eq!(head.fields, with_content.fields, "{target}");
        // The connection goes on.
        client.send(with("HEAD /nothing HTTP/1.1", ""));
        assert!(client.wire.sent()[sent.len()..].starts_with(b"HTTP/1.1 404 "));
    }
}

#[test]
fn a_client_that_asks_before_it_sends_is_answered_first() {
    let expect = "Expect: 100-continue\r\nContent-Length: 2\r\n";
    let mut client = Client::new();
    client.send(with("POST /api/readings HTTP/1.1", expect));
    assert_eq!(client.wire.sent(), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send("[]");
    assert_eq!(client.statuses(), [201]);

    // Whoever has sent it already need not be told.
    let mut client = Client::new();
    client.send(with("POST /api/readings HTTP/1.1", expect) + "[]");
    assert!(client.wire.sent().starts_with(b"HTTP/1.1 201 "));

    for (line, fields, status) in [
        ("POST /nothing HTTP/1.1", expect, 404),
        ("PUT /api/readings HTTP/1.1", expect, 405),
        ("POST /api/readings HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 9999\r\n", 413),
    ] {
        let mut client = Client::new();
        client.send(with(line, fields));
        assert_eq!(client.statuses(), [status], "{line}");
        assert_eq!(client.wire.closed(), Closed::Both, "{line}");
    }
}

#[test]
fn small_responses_leave_in_one_write_framed_by_their_length() {
    let mut client = Client::new();
    client.send(with("GET /health HTTP/1.1", ""));
    assert_eq!(client.wire.writes(), 1);
    let response = client.responses().remove(0);
    assert_eq!(response.text(), "{\"status\":\"ok\",\"uptime\":0,\"requests\":1}\n");
    assert!(client.wire.sent().len() <= 200);
}

#[test]
fn the_most_that_is_taken_is_taken() {
    let target = format!("/{}", long(1023));
    assert_eq!(get(common::gateway(), &target).status, 404);
    let content = format!("{:4096}", "[]");
    assert_eq!(post(common::gateway(), &content).status, 201);
    let chunks: String = content.as_bytes().chunks(64).fold(String::new(), |all, chunk| {
        all + "40;an=extension\r\n" + std::str::from_utf8(chunk).unwrap() + "\r\n"
    });
    let request = with("POST /api/readings HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    for size in [1, 7, 1460, 9000] {
        let mut client = Client::new();
        client.send(&request);
        for segment in (chunks.clone() + "0\r\n\r\n").as_bytes().chunks(size) {
            client.send(segment);
        }
        assert_eq!(client.statuses(), [201], "in segments of {size}");
    }
}
