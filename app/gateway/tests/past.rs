//! What became of earlier starts is told, whatever words a failing application has left behind.
#![allow(clippy::unwrap_used, reason = "what panics here fails a test")]

mod common;

use common::metrics::parsed;
use common::{gateway, gateway_at, gateway_with, get};
use gateway::http::limits;
use gateway::machine::Past;

const REPORT: &str = "FAULT class=write-abort esr=0x9600004f far=0xffffff8000001000\n  \
                      writing 0xffffff8000001000: not permitted there\nEND FAULT\n";

const FAULT: Past =
    Past { restarts: 2, faults: 3, last_fault: Some("write-abort"), report: REPORT };

#[test]
fn a_machine_without_a_past_has_nothing_to_tell() {
    let gateway = gateway();
    let page = get(gateway, "/");
    assert!(page.text().contains("data-past=\"none\""), "{}", page.text());
    let metrics = get(gateway, "/metrics");
    assert!(!metrics.text().contains("elone_last_fault_info"), "{}", metrics.text());
    let samples = parsed(metrics.text());
    assert_eq!((samples["elone_faults_total"], samples["elone_restarts_total"]), (0.0, 0.0));
    let report = get(gateway, "/report");
    assert_eq!(report.status, 200);
    assert!(report.text().starts_with("no report: "), "{}", report.text());
    assert_eq!(samples["elone_http_responses_total{class=\"4xx\"}"], 0.0);
}

#[test]
fn a_fault_is_told_everywhere() {
    let gateway = gateway_with(FAULT);
    let page = get(gateway, "/");
    for shown in [
        "data-past=\"some\"",
        "<b data-v=\"last_fault\">write-abort</b>",
        "<span data-v=\"faults\">3</span>",
        "<span data-v=\"restarts\">2</span>",
        "<a href=\"/report\">",
    ] {
        assert!(page.text().contains(shown), "{shown}");
    }
    let samples = parsed(get(gateway, "/metrics").text());
    assert_eq!((samples["elone_faults_total"], samples["elone_restarts_total"]), (3.0, 2.0));
    assert_eq!(samples["elone_last_fault_info{class=\"write-abort\"}"], 1.0);
    let status = get(gateway, "/api/status");
    let words = ",\"restarts\":2,\"faults\":3,\"last_fault\":\"write-abort\",\"network\":{";
    assert!(status.text().contains(words), "{}", status.text());
    let report = get(gateway, "/report");
    assert_eq!((report.status, report.text()), (200, REPORT));
    assert_eq!(report.field("Content-Type"), Some("text/plain; charset=utf-8"));
}

/// Faults are counted where reports are not kept.
#[test]
fn a_fault_whose_report_is_lost_is_not_denied() {
    let gateway = gateway_with(Past { last_fault: None, report: "", ..FAULT });
    let page = get(gateway, "/");
    assert!(page.text().contains("data-past=\"some\""));
    assert!(page.text().contains("<b data-v=\"last_fault\">not known</b>"));
    assert!(get(gateway, "/api/status").text().contains("\"last_fault\":null"));
    assert!(!get(gateway, "/metrics").text().contains("elone_last_fault_info"));
    assert!(get(gateway, "/report").text().contains("does not remember"));
}

#[test]
fn words_that_would_be_markup_are_shown_as_they_are() {
    let class = "\"/><script>alert('&')</script>\\\u{1b}[2J\t";
    let report =
        "FAULT class=x\n  said: \u{1b}]0;t\u{7}\u{9b}2J\u{7f}</pre>\"\\\t\r\n  \u{fffd}é\n";
    let gateway = gateway_with(Past { last_fault: Some(class), report, ..FAULT });
    let page = get(gateway, "/");
    let shown = "<b data-v=\"last_fault\">&quot;/&gt;&lt;script&gt;alert(&#39;&amp;&#39;)";
    assert!(page.text().contains(shown), "{}", page.text());
    assert_eq!(page.text().matches("<script>").count(), 1, "{}", page.text());
    let status = get(gateway, "/api/status");
    let shown = r#""last_fault":"\"/><script>alert('&')</script>\\\u001b[2J\u0009","#;
    assert!(status.text().contains(shown), "{}", status.text());
    let metrics = get(gateway, "/metrics");
    parsed(metrics.text());
    assert!(metrics.text().contains(r#"{class="\"/><script>alert('&')</script>\\"#));
    let said = r"said: \u{1b}]0;t\u{7}\u{9b}2J\u{7f}</pre>";
    let expected = format!("FAULT class=x\n  {said}\"\\\t\\u{{d}}\n  \u{fffd}é\n");
    let report = get(gateway, "/report");
    assert_eq!(report.text(), expected);
    assert_eq!(report.field("X-Content-Type-Options"), Some("nosniff"));
}

/// In pieces, each as large as there is room for: wherever one ends, nothing is lost or doubled.
#[test]
fn a_long_report_arrives_whole() {
    for shift in 0..12 {
        let mut report = "x".repeat(limits::OUTPUT - 260 + shift);
        for line in 0..20_000 {
            report += &format!("  | [{line}] é\u{1b}🦀\n");
        }
        let expected = report.replace('\u{1b}', r"\u{1b}");
        let report: &'static str = Box::leak(report.into_boxed_str());
        let gateway = gateway_with(Past { report, ..FAULT });
        assert!(get(gateway, "/report").text() == expected, "shifted by {shift}");
    }
}

/// What is nothing but what has to be shown in another way, and a class that goes on and on.
#[test]
fn no_words_keep_the_service_from_answering() {
    let report: &'static str = Box::leak("\0".repeat(10_000).into_boxed_str());
    for class in ["\0", "\"", "&", "'", "🦀", "\n"] {
        let class: &'static str = Box::leak(class.repeat(5_000).into_boxed_str());
        let gateway = gateway_with(Past { last_fault: Some(class), report, ..FAULT });
        assert_eq!(get(gateway, "/report").body.len(), 10_000 * r"\u{0}".len());
        parsed(get(gateway, "/metrics").text());
        assert!(get(gateway, "/api/status").text().ends_with("}\n"));
        assert!(get(gateway, "/").text().ends_with("</html>\n"));
    }
}

#[test]
fn the_page_reads_well_at_either_level() {
    let joined = get(gateway_at("EL1"), "/");
    assert!(joined.text().contains("<b>EL1</b><span>joined, entered at EL2</span>"));
    assert!(joined.text().contains("<b>EL0</b>nobody<"));
    let contained = get(gateway_at("EL0"), "/");
    assert!(contained.text().contains("data-at=\"EL0\""));
    assert!(contained.text().contains("<b>EL0</b><span>contained, entered at EL2</span>"));
    assert!(contained.text().contains("<b>EL0</b>contained<"), "{}", contained.text());
}
