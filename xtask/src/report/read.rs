//! Reports of faults among the lines of a console. The kernel's `fault.rs` says what they look like;
//! here nothing relies on it: a console also carries what an application says, is cut off anywhere,
//! and shows old reports again, after the log's own words.

use crate::symbols::Address;

/// More of a report is not kept: its registers and a good deal of the log's tail are less.
const MOST_LINES: usize = 300;
/// More addresses are not looked at; the kernel gives 32.
const MOST_ADDRESSES: usize = 64;

/// A fault's report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Its lines, from `FAULT` on, as they were said but for what the log puts before them.
    pub(crate) lines: Vec<String>,
    /// What kind of fault, in one word.
    pub(crate) class: String,
    /// Where the program stood, if that can be read.
    pub(crate) stood: Option<Address>,
    /// The build id of the program that faulted.
    pub(crate) build: Option<String>,
    /// Where the lowest address of that program lay.
    pub(crate) base: Option<u64>,
    /// Which program: `application`, `kernel`, or `image` for both in one.
    pub(crate) program: Option<String>,
    /// The backtrace, as far as its words are addresses, and the line in `lines` that holds it.
    pub(crate) backtrace: Option<(Vec<u64>, usize)>,
    /// Whether its last line was said, `END FAULT`.
    pub(crate) whole: bool,
}

impl Report {
    /// The places to look up, where the program stood first.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let returns = self.backtrace.as_ref().map_or(&[][..], |(addresses, _)| addresses);
        // Where the program stood begins the backtrace, unless it jumped to where no program is.
        let returns = match (self.stood, returns) {
            (Some(stood), [first, rest @ ..]) if *first == stood.reported() => rest,
            (_, all) => all,
        };
        // A panic at EL1 may know its callers only.
        let stood = self.stood.filter(|stood| *stood != Address::Return(0));
        let returns = returns.iter().copied().map(Address::Return);
        stood.into_iter().chain(returns).collect()
    }

    fn begin(line: &str) -> Self {
        let value = |key| line.split(' ').find_map(|word| word.strip_prefix(key));
        // A panic is an exception only at EL0; at EL1 it is a call, which has somewhere to return.
        let kind = match (value("class="), value("level=")) {
            (Some("panic"), level) if level != Some("EL0") => Address::Return,
            _ => Address::Exact,
        };
        Self {
            lines: vec![line.to_owned()],
            class: value("class=").unwrap_or("unknown").to_owned(),
            stood: value("elr=").and_then(number).map(kind),
            ..Self::default()
        }
    }

    /// Takes one of its own lines; whether that was the backtrace.
    fn go_on(&mut self, line: &str) -> bool {
        if self.lines.len() < MOST_LINES {
            self.lines.push(line.to_owned());
        }
        let mut words = line.split_whitespace();
        match words.next() {
            Some("build") => self.build = words.next().map(str::to_ascii_lowercase),
            Some("base") => self.base = words.next().and_then(number),
            Some("program") => self.program = words.next().map(str::to_owned),
            Some("backtrace") if self.backtrace.is_none() => {
                let addresses = words.map_while(number).take(MOST_ADDRESSES).collect();
                self.backtrace = Some((addresses, self.lines.len() - 1));
                return true;
            }
            _ => {}
        }
        false
    }
}

/// What a line was to the reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to act on.
    Nothing,
    /// The report that goes on has just given its backtrace.
    Traced,
    /// A report is over.
    Over(Box<Report>),
}

/// Reads a console line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    open: Option<Report>,
}

impl Reader {
    /// The report that goes on.
    pub(crate) const fn open(&self) -> Option<&Report> {
        self.open.as_ref()
    }

    /// The report that was going on when the console ended.
    pub(crate) fn end(&mut self) -> Option<Report> {
        self.open.take()
    }

    pub(crate) fn take(&mut self, line: &str) -> Step {
        let said = without_log(line);
        if said.starts_with("FAULT class=") {
            // What was going on will not be ended any more.
            let before = self.open.replace(Report::begin(said));
            return before.map_or(Step::Nothing, over);
        }
        let Some(report) = &mut self.open else { return Step::Nothing };
        match said {
            "END FAULT" => {
                report.whole = true;
                report.lines.push(said.to_owned());
                self.open.take().map_or(Step::Nothing, over)
            }
            // The machine's last line: nobody goes on with the report.
            _ if said.starts_with("exit status ") => self.open.take().map_or(Step::Nothing, over),
            // A report's lines are indented; all others are somebody else's, who spoke meanwhile.
            _ if said.starts_with("  ") && report.go_on(said) => Step::Traced,
            _ => Step::Nothing,
        }
    }
}

fn over(report: Report) -> Step {
    Step::Over(Box::new(report))
}

/// What follows the log's own words in a line such as `[    0.012345] WARN  kernel: FAULT …`; any
/// other line as it is.
fn without_log(line: &str) -> &str {
    let said = || {
        let (time, rest) = line.strip_prefix('[')?.split_once("] ")?;
        time.trim_start().parse::<f64>().ok()?;
        let (level, rest) = rest.split_at_checked(6)?;
        matches!(level.trim_end(), "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE").then_some(())?;
        Some(rest.split_once(": ")?.1)
    };
    said().unwrap_or(line).trim_end()
}

/// A hexadecimal number such as `0x4012a4`, if it is one and has at most 64 bits.
fn number(word: &str) -> Option<u64> {
    let digits = word.strip_prefix("0x")?;
    digits.chars().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
