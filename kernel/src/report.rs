//! A fault's report, as text: the one form in which every fault is told, on the console and in the
//! black box.
//!
//! The first line is for programs, what follows is for people, and `END FAULT` is always there. All
//! of it is made from plain numbers and a piece of static memory: nothing here can wait, fail or
//! grow, whatever the machine has come to.

mod cause;
mod lines;
mod words;

use core::fmt::{self, Display, Write};

use heapless::String;

use crate::text::Cut;

pub use self::cause::Cause;
pub use self::words::{WORDS, Words};

/// How long a report may be on the console, in bytes, its end included. What is longer is cut.
pub const REPORT: usize = 4 << 10;
/// The same with the log's tail.
pub const TEXT: usize = 6 << 10;

/// The last line.
const END: &str = "END FAULT\n";

/// All that there is to say about a fault.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What it is.
    pub cause: Cause,
    /// What the core says of it: `ESR` and `FAR`.
    pub syndrome: (u64, u64),
    /// Where it happened, as far as that is known.
    pub elr: u64,
    /// The processor's state then.
    pub spsr: u64,
    /// The exception level that it came from.
    pub level: u8,
    /// What was going on besides, if that is worth a line.
    pub besides: Option<&'a str>,
    /// What the program said last, escaped.
    pub said: &'a str,
    /// x0 to x30 and the stack pointer, where they are those of the fault.
    pub registers: Option<(&'a [u64; 31], u64)>,
    /// Whose code it was.
    pub program: &'a str,
    /// The build of that program.
    pub build: &'a [u8],
    /// Where the lowest address of that program lies.
    pub base: u64,
    /// Where it came from, innermost first.
    pub backtrace: &'a [u64],
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (esr, far) = self.syndrome;
        write!(f, "FAULT class={} ", self.cause.class())?;
        if self.cause.has_syndrome() {
            write!(f, "esr={esr:#010x} far={far:#018x} ")?;
        } else if let Cause::Altered(_, page) = self.cause {
            write!(f, "esr=0x0 far={page:#018x} ")?;
        } else {
            f.write_str("esr=0x0 far=0x0 ")?;
        }
        writeln!(f, "elr={:#018x} spsr={:#x} level=EL{}", self.elr, self.spsr, self.level)?;
        writeln!(f, "  {}", self.cause)?;
        if let Some(besides) = self.besides {
            writeln!(f, "  {besides}")?;
        }
        if !self.said.is_empty() {
            writeln!(f, "  said: {}", self.said)?;
        }
        if let Some((x, sp)) = self.registers {
            for (index, four) in x.chunks(4).enumerate() {
                for (offset, value) in four.iter().enumerate() {
                    write!(f, "  x{:<2} {value:016x}", index * 4 + offset)?;
                }
                f.write_char('\n')?;
            }
            writeln!(f, "  sp  {sp:016x}")?;
        }
        write!(f, "  program {}\n  build ", self.program)?;
        for byte in self.build {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "\n  base {:#x}\n  backtrace", self.base)?;
        for address in self.backtrace {
            write!(f, " {address:#x}")?;
        }
        f.write_char('\n')
    }
}

/// A report that has been written down.
#[derive(Debug, Default)]
pub struct Text {
    text: String<TEXT>,
    /// Where the log's tail begins, which the console shows above anyway.
    tail: usize,
}

impl Text {
    /// Room for one.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: String::new(), tail: 0 }
    }

    /// Writes a report down, with the end of the `log` below it: lines as they went to the console,
    /// the first of them perhaps cut.
    pub fn compose(&mut self, report: &Report<'_>, log: &[u8]) {
        self.text.clear();
        let mut body = Cut::at(REPORT - END.len() - 1, &mut self.text);
        // A cut report is still a report.
        let _ = write!(body, "{report}");
        if !self.text.ends_with('\n') {
            let _there_is_room = self.text.push('\n');
        }
        self.tail = self.text.len();
        let mut rest = Cut::at(TEXT - END.len(), &mut self.text);
        let _ = rest.write_str("  log tail:\n");
        for line in lines::latest(log, rest.room()) {
            let _ = writeln!(rest, "{line}");
        }
        let _there_is_room = self.text.push_str(END);
    }

    /// What the console shows, in two pieces.
    #[must_use]
    pub fn for_console(&self) -> [&str; 2] {
        [self.text.get(..self.tail).unwrap_or_default(), END]
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trap::{Access, Reason, Trap};

    const X: [u64; 31] = {
        let mut x = [0; 31];
        x[3] = 0x1234;
        x
    };

    fn report(said: &str) -> Report<'_> {
        let address = Some(0xffff_ff80_0000_1000);
        let (access, reason) = (Access::Write, Reason::Permission);
        Report {
            cause: Cause::Trap(Trap::Abort { access, reason, address }),
            syndrome: (0x9600_004f, 0xffff_ff80_0000_1000),
            elr: 0x0040_12a4,
            spsr: 0x8000_0000,
            level: 0,
            besides: None,
            said,
            registers: Some((&X, 0x48_1f30)),
            program: "application",
            build: &[0x5d, 0x41],
            base: 0x40_0000,
            backtrace: &[0x40_12a4, 0x40_0f10],
        }
    }

    fn composed(report: &Report<'_>, log: &[u8]) -> Text {
        let mut text = Text::new();
        text.compose(report, log);
        assert!(text.whole().ends_with("\nEND FAULT\n") && text.whole().len() <= TEXT);
        let console: usize = text.for_console().iter().map(|piece| piece.len()).sum();
        assert!(text.for_console()[0].ends_with('\n') && console <= REPORT, "{console}");
        assert!(text.whole().starts_with(text.for_console()[0]));
        text
    }

    #[test]
    fn a_report_has_its_form() {
        let text = composed(&report("oh"), b"half\n[ 0.1] INFO  a: b\r\n");
        let expected = "FAULT class=write-abort esr=0x9600004f far=0xffffff8000001000 \
             elr=0x00000000004012a4 spsr=0x80000000 level=EL0\n  \
             writing 0xffffff8000001000: not permitted there\n  \
             said: oh\n  \
             x0  0000000000000000  x1  0000000000000000  x2  0000000000000000  x3  0000000000001234\n";
        assert!(text.whole().starts_with(expected), "{}", text.whole());
        let rest = "  x28 0000000000000000  x29 0000000000000000  x30 0000000000000000\n  \
             sp  0000000000481f30\n  \
             program application\n  \
             build 5d41\n  \
             base 0x400000\n  \
             backtrace 0x4012a4 0x400f10\n";
        let [console, end] = text.for_console();
        assert!(console.ends_with(rest) && end == "END FAULT\n", "{}", text.whole());
        let tail = "  log tail:\n  | half\n  | [ 0.1] INFO  a: b\nEND FAULT\n";
        assert!(text.whole().ends_with(tail), "{}", text.whole());
    }

    #[test]
    fn a_panic_has_no_syndrome_and_no_registers() {
        let report = Report { cause: Cause::Panic, registers: None, ..report("") };
        let text = composed(&report, b"");
        let line = "FAULT class=panic esr=0x0 far=0x0 elr=0x00000000004012a4 ";
        assert!(text.whole().starts_with(line), "{}", text.whole());
        assert!(!text.whole().contains("  x0") && !text.whole().contains("said:"));
    }

    #[test]
    fn an_alteration_has_an_address_and_no_syndrome() {
        let cause = Cause::Altered("text", 0xffff_8000_0020_1000);
        let text = composed(&Report { cause, level: 1, registers: None, ..report("") }, b"");
        let begin = "FAULT class=integrity esr=0x0 far=0xffff800000201000 elr=0x00000000004012a4 \
             spsr=0x80000000 level=EL1\n  \
             text at 0xffff800000201000 is not what it was at boot\n  \
             program application\n";
        assert!(text.whole().starts_with(begin), "{}", text.whole());
    }

    #[test]
    fn what_is_too_long_is_cut_and_still_ends() {
        let long = "é".repeat(5_000);
        for extra in ["", "x"] {
            let said = format!("{extra}{long}");
            let text = composed(&report(&said), b"a\nb\n");
            assert!(text.whole().contains("é\n  log tail:\n  | a\n  | b\nEND"), "cut");
        }
        let mut text = Text::new();
        text.compose(&report(&long), b"");
        text.compose(&report("short"), b"");
        assert!(!text.whole().contains('é'), "the same memory serves again");
    }

    #[test]
    fn of_the_log_the_latest_lines_are_kept() {
        let log: std::string::String = (0..2_000).map(|line| format!("line {line}\n")).collect();
        let text = composed(&report(""), log.as_bytes());
        assert!(text.whole().ends_with("  | line 1998\n  | line 1999\nEND FAULT\n"));
        assert!(!text.whole().contains("  | line 0\n"));
        // One line that fits nowhere leaves no line.
        let text = composed(&report(""), &[b'a'; 9_000]);
        assert!(text.whole().ends_with("  log tail:\nEND FAULT\n"));
    }

    #[test]
    fn a_log_cannot_command_a_terminal_or_end_the_report() {
        let log = b"\x1b[2J\xff\xfeEND FAULT\r\nEND FAULT\nb\0\x7f\xc2\x9b";
        let text = composed(&report(""), log);
        assert_eq!(text.whole().lines().filter(|line| *line == "END FAULT").count(), 1);
        assert!(text.whole().contains("  | \\u{1b}[2J\\xff\\xfeEND FAULT\n"), "{}", text.whole());
        assert!(text.whole().chars().all(|c| c == '\n' || !c.is_control()));
    }
}
