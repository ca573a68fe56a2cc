//! The metrics taken apart again, strictly.

use std::collections::BTreeMap;

/// Reads the text format (Prometheus, exposition formats, version 0.0.4) and fails on anything
/// that is not to its letter: names, types declared once and before, samples once, finite values.
pub fn parsed(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').unwrap();
            let (name, rest) = rest.split_once(' ').unwrap();
            match kind {
                "HELP" => assert!(!rest.is_empty()),
                "TYPE" => {
                    assert!(["counter", "gauge"].contains(&rest), "{line}");
                    assert!(types.insert(name.to_owned(), rest.to_owned()).is_none(), "{line}");
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
        let kind = types.get(name).unwrap_or_else(|| panic!("{name} has no type"));
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        labels(&series[name.len()..]);
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite());
        assert!(samples.insert(series.to_owned(), value).is_none(), "{line} is there twice");
    }
    samples
}

fn labels(text: &str) {
    let Some(inner) = text.strip_prefix('{') else { return assert_eq!(text, "") };
    let mut rest = inner.strip_suffix('}').unwrap();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{text}");
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = value[end.unwrap() + 1..].trim_start_matches(',');
    }
}
