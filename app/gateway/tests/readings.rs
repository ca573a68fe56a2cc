//! What is taken in, what is refused and where, and what is kept.
#![allow(clippy::unwrap_used, reason = "what panics here fails a test")]

mod common;

use common::{DATE, ask, gateway, get, post};
use gateway::readings::CAPACITY;

const ONE: &str = r#"{"sensor":"a","value":1}"#;

#[test]
fn what_was_posted_is_listed() {
    let gateway = gateway();
    let one = r#" { "unit" : "\u00b0C", "value": -12.50, "sensor":"cellar/t.1" } "#;
    assert_eq!(post(gateway, one).text(), "{\"stored\":1,\"first\":1,\"last\":1}\n");
    let two = r#"[{"sensor":"b","value":1e300,"time":1700000000.9},
                  {"sensor":"c:d","value":0.000001,"time":0}]"#;
    assert_eq!(post(gateway, two).text(), "{\"stored\":2,\"first\":2,\"last\":3}\n");
    assert_eq!(post(gateway, "[]").text(), "{\"stored\":0}\n");
    let expected = format!(
        "{{\"newest\":3,\"dropped\":0,\"readings\":[\
         {{\"id\":1,\"sensor\":\"cellar/t.1\",\"value\":-12.5,\"unit\":\"°C\",\"time\":{DATE},\"uptime\":0}},\
         {{\"id\":2,\"sensor\":\"b\",\"value\":1e300,\"unit\":\"\",\"time\":1700000000,\"uptime\":0}},\
         {{\"id\":3,\"sensor\":\"c:d\",\"value\":1e-6,\"unit\":\"\",\"time\":0,\"uptime\":0}}]}}\n"
    );
    assert_eq!(get(gateway, "/api/readings").text(), expected);
}

#[test]
fn without_a_clock_there_is_no_time() {
    let gateway = gateway();
    gateway.machine.date.set(None);
    assert_eq!(post(gateway, ONE).status, 201);
    assert!(get(gateway, "/api/readings").text().contains("\"time\":null"));
}

/// The content, then what is wrong with it, with which field, and at which byte, line and element.
type Row<'a> = (&'a str, &'a str, &'a str, usize, usize, Option<usize>);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_refused_is_refused_by_name_and_place() {
    let twice = "the field is there twice";
    let text = "must be a string of 1 to 32 letters, digits, or any of . _ - : /";
    let time = "must be seconds since 1970, from 0 to 253402300799";
    let long = format!("{{\"sensor\":\"{}\",\"value\":1}}", "x".repeat(33));
    let longer = format!("{{\"sensor\":\"{}\",\"value\":1}}", "x".repeat(500));
    let rows: &[Row<'_>] = &[
        (r#"{"sensor":"a"}"#, "missing", "value", 0, 1, None),
        (r#" {"value":1}"#, "missing", "sensor", 1, 1, None),
        ("{}", "missing", "sensor", 0, 1, None),
        (r#"[{"sensor":"a","value":1},{"sensor":"a"}]"#, "missing", "value", 26, 1, Some(1)),
        (r#"{"sensor":"a","value":1,"colour":"red"}"#, "unknown field", "colour", 24, 1, None),
        ("{\"sensor\":\"a\",\n\"Value\":1}", "unknown field", "Value", 15, 2, None),
        (r#"{"sensor":"a","sensor":"b","value":1}"#, twice, "sensor", 14, 1, None),
        (r#"{"sensor":"a b","value":1}"#, text, "sensor", 10, 1, None),
        (r#"{"sensor":"","value":1}"#, text, "sensor", 10, 1, None),
        (&long, text, "sensor", 10, 1, None),
        (&longer, "too long", "sensor", 138, 1, None),
        (r#"{"sensor":7,"value":1}"#, text, "sensor", 10, 1, None),
        (r#"{"sensor":null,"value":1}"#, text, "sensor", 10, 1, None),
        (r#"{"sensor":"a", "value" : "1"}"#, "must be a finite number", "value", 25, 1, None),
        (r#"{"sensor":"a","value":1e999}"#, "must be a finite number", "value", 22, 1, None),
        (r#"{"sensor":"a","value":true}"#, "must be a finite number", "value", 22, 1, None),
        (r#"{"sensor":"a","value":[1]}"#, "must be a finite number", "value", 22, 1, None),
        (r#"{"sensor":"a","value":{"x":1}}"#, "must be a finite number", "value", 22, 1, None),
        (r#"{"sensor":"a","value":1,"time":-1}"#, time, "time", 31, 1, None),
        (r#"{"sensor":"a","value":1,"time":1e9}"#, time, "time", 31, 1, None),
        (r#"{"sensor":"a","value":1,"time":1.7e9}"#, time, "time", 31, 1, None),
        (r#"{"sensor":"a","value":1,"time":253402300800}"#, time, "time", 31, 1, None),
        (
            r#"{"sensor":"a","value":1,"unit":"12345678901234567"}"#,
            "must be printable text of at most 16 bytes",
            "unit",
            31,
            1,
            None,
        ),
        (r#"{"sensor":"a","value":NaN}"#, "not JSON from here on", "value", 22, 1, None),
        (r#"{"sensor":"a","value":-Infinity}"#, "not JSON from here on", "value", 23, 1, None),
        (r#"{"sensor":"a","value":01}"#, "not JSON from here on", "value", 23, 1, None),
        (r#"{"sensor" "a"}"#, "not JSON from here on", "sensor", 10, 1, None),
        ("\n\n  {\"sensor\": 'a'}", "not JSON from here on", "sensor", 15, 3, None),
        ("[1]", "must be an object, or an array of objects", "", 1, 1, Some(0)),
        ("[[]]", "must be an object, or an array of objects", "", 1, 1, Some(0)),
        ("\"text\"", "must be an object, or an array of objects", "", 0, 1, None),
        ("null", "must be an object, or an array of objects", "", 0, 1, None),
        ("sensor=a&value=1", "not JSON from here on", "", 0, 1, None),
        (r#"{"sensor":"a","value":1"#, "the JSON ends early, or badly", "value", 22, 1, None),
        (r#"{"sensor":"a"#, "the JSON ends early, or badly", "sensor", 11, 1, None),
        ("[", "the JSON ends early, or badly", "", 0, 1, Some(0)),
    ];
    for &(content, error, field, at, line, index) in rows {
        let gateway = gateway();
        let response = post(gateway, content);
        assert_eq!(response.status, 400, "{content}");
        let mut expected = format!("{{\"error\":\"{error}\"");
        if !field.is_empty() {
            expected += &format!(",\"field\":\"{field}\"");
        }
        expected += &format!(",\"at\":{at},\"line\":{line}");
        if let Some(index) = index {
            expected += &format!(",\"index\":{index}");
        }
        assert_eq!(response.text(), expected + "}\n", "{content}");
        assert_eq!(gateway.readings.newest(), 0, "{content}");
    }
}

#[test]
fn what_is_hardly_json_is_refused_somewhere() {
    for content in [
        "",
        " ",
        "{",
        "}",
        "[}",
        "{]",
        "[,]",
        "[{},]",
        "{\"a\"}",
        "{,}",
        "\u{feff}{}",
        "[]x",
        "[][]",
        "{}{}",
    ] {
        let response = post(gateway(), content);
        assert_eq!(response.status, 400, "{content:?}");
        assert!(response.text().contains("\"error\":"), "{content:?}");
    }
    let raw = b"POST /api/readings HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{\"sensor\":\"\xff\"}";
    assert_eq!(ask(gateway(), raw).status, 400);
}

#[test]
fn a_field_name_cannot_break_out_of_the_answer() {
    let response = post(gateway(), r#"{"\"},\n<b>\\":1}"#);
    let expected =
        "{\"error\":\"unknown field\",\"field\":\"\\\"},\\u000a<b>\\\\\",\"at\":1,\"line\":1}\n";
    assert_eq!(response.text(), expected);
    let long = format!("{{\"{}\":1}}", "ä".repeat(60));
    let shown = format!("\"field\":\"{}\"", "ä".repeat(16));
    assert!(post(gateway(), &long).text().contains(&shown));
}

#[test]
fn too_many_at_once_are_too_large() {
    let gateway = gateway();
    let many = |count| format!("[{}]", vec![ONE; count].join(","));
    assert_eq!(post(gateway, &many(100)).status, 201);
    let refused = post(gateway, &many(101));
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("100"));
    assert_eq!(gateway.readings.newest(), 100);
}

#[test]
fn the_oldest_readings_make_room() {
    let gateway = gateway();
    for value in 1..=CAPACITY as u64 + 10 {
        let status = post(gateway, &format!("{{\"sensor\":\"a\",\"value\":{value}}}")).status;
        assert_eq!(status, 201);
    }
    assert_eq!((gateway.readings.held(), gateway.readings.dropped()), (CAPACITY as u64, 10));
    let list = get(gateway, "/api/readings?limit=1024");
    let ids = ids(list.text());
    assert_eq!(ids, (11..=1034).collect::<Vec<_>>());
    assert!(list.text().starts_with("{\"newest\":1034,\"dropped\":10,"));
    assert!(gateway.readings.get(10).is_none());
    assert_eq!(gateway.readings.get(11).map(|reading| reading.value), Some(11.0));
    assert!(get(gateway, "/metrics").text().contains("\nelone_readings_dropped_total 10\n"));
}

#[test]
fn a_query_chooses_readings() {
    let gateway = gateway();
    for number in 1..=20 {
        let sensor = if number % 2 == 0 { "even/1" } else { "odd" };
        let content = format!("{{\"sensor\":\"{sensor}\",\"value\":{number}}}");
        assert_eq!(post(gateway, &content).status, 201);
    }
    let list = |query: &str| ids(get(gateway, &format!("/api/readings{query}")).text());
    assert_eq!(list("?limit=3"), [18, 19, 20]);
    assert_eq!(list("?since=18"), [19, 20]);
    assert_eq!(list("?since=20"), []);
    assert_eq!(list("?since=18446744073709551615"), []);
    assert_eq!(list("?sensor=even/1&since=10"), [12, 14, 16, 18, 20]);
    assert_eq!(list("?sensor=even%2F1&limit=2"), [18, 20]);
    assert_eq!(list("?sensor=none"), []);
    assert_eq!(list(""), (1..=20).collect::<Vec<_>>());
}

fn ids(list: &str) -> Vec<u64> {
    let after = list.split("\"id\":").skip(1);
    after.map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
}
