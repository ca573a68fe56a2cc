//! The page, the report and the metrics say what is so.
#![allow(clippy::unwrap_used, reason = "what panics here fails a test")]

mod common;

use common::metrics::parsed;
use common::{Client, gateway, get, post};
use gateway::content::page::{FIELDS, TEMPLATE};
use sha2::{Digest, Sha256};

#[test]
fn the_page_shows_what_is_so() {
    let gateway = gateway();
    post(gateway, r#"[{"sensor":"a","value":1},{"sensor":"b","value":2}]"#);
    assert_eq!(get(gateway, "/nothing").status, 404);
    let page = get(gateway, "/");
    assert_eq!(page.status, 200);
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
    for shown in [
        "Elone 9.8.7",
        "linux,dummy-virt",
        "Cortex-A72",
        "GICv3",
        "&lt;KVM &amp; &quot;friends&quot;&gt;",
        "128 MiB",
        "3 MiB of 77 MiB",
        "data-in=\"EL2\" data-at=\"EL1\"",
        "entered at EL2",
        "10.0.2.15",
        "10.0.2.2",
        "52:54:00:12:34:56",
        "<dd>dhcp</dd>",
        "<span data-v=\"received\">4711</span>",
        "<span data-v=\"sent\">1174</span>",
        "<b data-v=\"requests\">3</b>",
        "<span data-v=\"failed\">1</span>",
        "<b data-v=\"held\">2</b><span>of 1024 kept",
        "of 4 at a time",
        "<span data-v=\"uptime\">0 s</span>",
    ] {
        assert!(page.text().contains(shown), "{shown}");
    }
    assert!(!page.text().contains("{{") && !page.text().contains("}}<"), "a gap was left open");
    assert!(page.text().ends_with("</html>\n"));
}

#[test]
fn every_gap_in_the_page_is_filled() {
    let page = get(gateway(), "/");
    let pieces: Vec<&str> = TEMPLATE.split("{{").collect();
    let mut rest = page.text().strip_prefix(pieces[0]).unwrap();
    for piece in &pieces[1..] {
        let (name, text) = piece.split_once("}}").unwrap();
        let end = rest.find(text).unwrap();
        assert!(end > 0, "nobody fills {name}");
        rest = &rest[end + text.len()..];
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = get(gateway(), "/");
    for link in ["http://", "https://", "src=\"//", "href=\"//", "url(", "@import", "<iframe"] {
        assert!(!page.text().contains(link), "{link}");
    }
    assert!(page.body.len() < 13 * 1024, "{} bytes", page.body.len());
}

/// The policy names style and script by what they are; so if this fails, put in what it says.
#[test]
fn the_policy_allows_this_page_and_no_other() {
    let page = get(gateway(), "/");
    let policy = page.field("Content-Security-Policy").unwrap();
    for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let inner = page.text().split_once(&open).unwrap().1.split_once(&close).unwrap().0;
        let hash = base64(&Sha256::digest(inner.as_bytes()));
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}'")), "{directive}: {hash}");
    }
    assert!(policy.starts_with("default-src 'none'; connect-src 'self';"));
    assert!(!page.text().contains(" style=\""), "which the policy would not allow");
    assert!(FIELDS.ends_with("\r\n"));
}

#[test]
fn every_answer_says_how_it_is_to_be_treated() {
    let gateway = gateway();
    for target in
        ["/", "/health", "/metrics", "/report", "/api/status", "/api/readings", "/nothing"]
    {
        let response = get(gateway, target);
        assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"), "{target}");
        assert_eq!(response.field("Cache-Control"), Some("no-store"), "{target}");
        assert!(response.field("Content-Type").is_some(), "{target}");
    }
}

#[test]
fn the_report_says_what_the_page_says() {
    let gateway = gateway();
    post(gateway, r#"{"sensor":"a","value":1}"#);
    let expected = concat!(
        r#"{"version":"Elone 9.8.7","machine":{"board":"linux,dummy-virt","core":"Cortex-A72","#,
        r#""interrupt_controller":"GICv3","hypervisor":"<KVM & \"friends\">","entered_at":"EL2","#,
        r#""running_at":"EL1","protections":["w^x","sealed-tables"],"memory":134217728},"uptime":0.000,"stolen":null,"time":1795347000,"#,
        r#""restarts":0,"faults":0,"last_fault":null,"#,
        r#""network":{"address":"10.0.2.15","gateway":"10.0.2.2","mac":"52:54:00:12:34:56","#,
        r#""configured":"dhcp","received":4711,"sent":1174},"#,
        r#""connections":{"open":0,"limit":4,"accepted":0,"refused":0},"#,
        r#""requests":{"total":2,"2xx":2,"4xx":0,"5xx":0},"#,
        r#""readings":{"held":1,"capacity":1024,"stored":1,"dropped":0},"#,
        r#""heap":{"used":3145728,"size":80740352}}"#,
        "\n"
    );
    assert_eq!(get(gateway, "/api/status").text(), expected);
}

#[test]
fn the_metrics_are_prometheus_text() {
    let gateway = gateway();
    post(gateway, r#"[{"sensor":"a/b","value":1},{"sensor":"a/b","value":2.5,"unit":"\"\\ "}]"#);
    post(gateway, r#"{"sensor":"c","value":-1e300}"#);
    get(gateway, "/nothing");
    let metrics = get(gateway, "/metrics");
    assert_eq!(metrics.field("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = parsed(metrics.text());
    let value = |name: &str| samples.get(name).copied();
    assert_eq!(value("elone_http_responses_total{class=\"2xx\"}"), Some(3.0));
    assert_eq!(value("elone_http_responses_total{class=\"4xx\"}"), Some(1.0));
    assert_eq!(value("elone_http_responses_total{class=\"5xx\"}"), Some(0.0));
    assert_eq!(value("elone_readings_stored_total"), Some(3.0));
    assert_eq!(value("elone_readings_held"), Some(3.0));
    assert_eq!(value("elone_memory_bytes"), Some(134_217_728.0));
    assert_eq!(value("elone_heap_used_bytes"), Some(3_145_728.0));
    assert_eq!(value("elone_net_received_frames_total"), Some(4711.0));
    assert_eq!(value("elone_reading{sensor=\"a/b\",unit=\"\\\"\\\\ \"}"), Some(2.5));
    assert_eq!(value("elone_reading{sensor=\"c\",unit=\"\"}"), Some(-1e300));
    assert_eq!(value("elone_protection{name=\"w^x\"}"), Some(1.0));
    assert_eq!(value("elone_protection{name=\"heap-tags\"}"), Some(0.0));
    let info = samples.keys().find(|name| name.starts_with("elone_info{")).unwrap();
    assert!(info.contains("hypervisor=\"<KVM & \\\"friends\\\">\""), "{info}");
    assert_eq!(value(info), Some(1.0));
}

#[test]
fn stolen_time_is_shown_where_it_is_known() {
    let gateway = gateway();
    assert!(!get(gateway, "/metrics").text().contains("stolen"), "and nothing else is");
    assert!(get(gateway, "/").text().contains("<dt>Stolen</dt><dd>not known</dd>"));
    gateway.machine.stolen.set(Some(12_045_678_901));
    let samples = parsed(get(gateway, "/metrics").text());
    assert_eq!(samples["elone_stolen_seconds_total"], 12.045);
    assert!(get(gateway, "/api/status").text().contains(r#","stolen":12.045,"#));
    assert!(get(gateway, "/").text().contains("<dt>Stolen</dt><dd>12.045 s</dd>"));
}

#[test]
fn a_thousand_sensors_do_not_swell_the_metrics() {
    let gateway = gateway();
    for sensor in 0..1000 {
        post(gateway, &format!("{{\"sensor\":\"s{sensor}\",\"value\":{sensor}}}"));
    }
    let samples = parsed(get(gateway, "/metrics").text());
    let sensors = samples.keys().filter(|name| name.starts_with("elone_reading{"));
    assert_eq!(sensors.count(), 64);
    assert!(samples.contains_key("elone_reading{sensor=\"s999\",unit=\"\"}"));
}

#[test]
fn connections_beyond_the_limit_are_counted() {
    let gateway = gateway();
    let permits: Vec<_> = (0..4).map(|_| gateway.connections.admit().unwrap()).collect();
    assert!(gateway.connections.admit().is_none());
    let samples = parsed(get(gateway, "/metrics").text());
    assert_eq!(samples["elone_connections_open"], 4.0);
    assert_eq!(samples["elone_connections_refused_total"], 1.0);
    drop(permits);
    assert_eq!(gateway.connections.open(), 0);
    assert!(gateway.connections.admit().is_some());
}

#[test]
fn a_list_that_is_sent_slowly_leaves_out_what_made_room() {
    let gateway = gateway();
    for value in 0..1024 {
        post(gateway, &format!("{{\"sensor\":\"old\",\"value\":{value}}}"));
    }
    let wire = common::wire::Wire::new(3000);
    let mut client = Client::over(wire.clone(), gateway);
    client.send("GET /api/readings?limit=1024 HTTP/1.1\r\nHost: x\r\n\r\n");
    for value in 0..500 {
        post(gateway, &format!("{{\"sensor\":\"later\",\"value\":{value}}}"));
    }
    wire.take(usize::MAX / 2);
    client.task.run();
    let list = client.responses().remove(0);
    assert!(list.text().ends_with("]}\n") && !list.text().contains("later"));
    assert!(list.text().contains("\"id\":1,") && list.text().contains("\"id\":1024,"));
    assert!(!list.text().contains("\"id\":400,"));
}

fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for index in 0..4 {
            let digit = digits[(bits >> (18 - 6 * index) & 63) as usize] as char;
            text.push(if index <= three.len() { digit } else { '=' });
        }
    }
    text
}
