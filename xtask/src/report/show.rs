//! A report's addresses in words.

use std::fmt::Write;

use super::read::Report;
use crate::symbols::Address;
use crate::symbols::library::Library;

/// How far below a report's own lines its frames are indented.
const INDENT: &str = "    ";

/// Where a report's program stood and how it came there: a line a function, innermost first, what
/// was inlined marked; raw addresses, and the reason, where there are no symbols.
pub(crate) fn frames(report: &Report, library: &mut Library) -> String {
    let addresses = report.addresses();
    if addresses.is_empty() {
        return format!("{INDENT}(the report has no address that can be read)\n");
    }
    let symbols = match &report.build {
        Some(id) => library.symbols(id).map_err(|error| format!("{error:#}")),
        None => Err("the report has no build id, which would say what its addresses mean".into()),
    };
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{INDENT}{words}");
    };
    match symbols {
        Err(why) => {
            line(format_args!("({why})"));
            addresses.iter().for_each(|address| line(format_args!("{:#x}", address.reported())));
        }
        Ok(symbols) => {
            for same in addresses.chunk_by(PartialEq::eq) {
                let address = same[0];
                let reported = format!("{:#x}", address.reported());
                let found = symbols.frames(address, report.base);
                if found.is_empty() {
                    line(format_args!("{reported}  {}", nowhere(address)));
                }
                for (index, frame) in found.iter().enumerate() {
                    let column = if index == 0 { reported.as_str() } else { "" };
                    line(format_args!("{column:width$}  {frame}", width = reported.len()));
                }
                // A recursion without end would fill the screen.
                if same.len() > 1 {
                    line(format_args!(
                        "{:width$}  ({} more of the same)",
                        "",
                        same.len() - 1,
                        width = reported.len()
                    ));
                }
            }
        }
    }
    text
}

const fn nowhere(address: Address) -> &'static str {
    match address {
        Address::Exact(_) => "(no code of this program: it jumped astray)",
        Address::Return(_) => "(no code of this program)",
    }
}

/// A report as it was said, with its frames below its backtrace.
pub(crate) fn report(report: &Report, library: &mut Library) -> String {
    let frames = frames(report, library);
    let after = report.backtrace.as_ref().map(|(_, line)| *line);
    let mut text = String::new();
    for (index, line) in report.lines.iter().enumerate() {
        text.push_str(line);
        text.push('\n');
        if Some(index) == after {
            text.push_str(&frames);
        }
    }
    if after.is_none() {
        text.push_str(&frames);
    }
    if !report.whole {
        text.push_str("(the report is cut off here)\n");
    }
    text
}
