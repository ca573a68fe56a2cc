//! What became of the attacks, as a table for people and as a list for programs.

use std::fmt;

use elone_harness::Mode;
use serde_json::{Value, json};

use super::list::Elsewhere;
use super::run::{Expected, Mitigation, Run};
use super::verdict::Outcome;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    attack: String,
    row: u8,
    /// The mode, or that it is the same in both.
    mode: &'static str,
    mitigation: Mitigation,
    /// What is expected, or that nothing can be on this machine.
    expected: &'static str,
    outcome: &'static str,
    stopped_by: Option<String>,
}

const STOPPED: &str = "stopped";
const SURVIVED: &str = "survived";
const BY_DESIGN: &str = "survived-by-design";
const ELSEWHERE: &str = "proved-elsewhere";
const LEFT_OUT: &str = "left-out";
const WRONG: &str = "wrong";

impl Record {
    /// What became of an attack.
    pub(super) fn of(run: &Run, outcome: &Outcome) -> Self {
        Self::new(run.attack.name, run.attack.row, mode(run.mode), run.mitigation, run.expected)
            .with(outcome)
    }

    /// What is expected of an attack that is known by these.
    pub(super) fn new(
        attack: &str,
        row: u8,
        mode: &'static str,
        mitigation: Mitigation,
        expected: Expected,
    ) -> Self {
        let expected = match expected {
            Expected::Stopped => STOPPED,
            Expected::Survived => SURVIVED,
            Expected::SurvivedByDesign => BY_DESIGN,
        };
        let attack = attack.to_owned();
        Self { attack, row, mode, mitigation, expected, outcome: WRONG, stopped_by: None }
    }

    /// With what came of it.
    pub(super) fn with(self, outcome: &Outcome) -> Self {
        // What cannot be tried here was not expected to come to anything.
        if let Outcome::LeftOut(why) = outcome {
            let stopped_by = Some(why.clone());
            return Self { expected: LEFT_OUT, outcome: LEFT_OUT, stopped_by, ..self };
        }
        let (outcome, stopped_by) = match outcome {
            Outcome::Stopped(by) => (STOPPED, Some(by.clone())),
            Outcome::Survived if self.expected == BY_DESIGN => (BY_DESIGN, None),
            Outcome::Survived => (SURVIVED, None),
            Outcome::LeftOut(why) | Outcome::Wrong(why) => (WRONG, Some(why.clone())),
        };
        Self { outcome, stopped_by, ..self }
    }

    /// What is tried by another test.
    pub(super) fn elsewhere(elsewhere: &Elsewhere) -> Self {
        let Elsewhere { row, attack, file, test } = elsewhere;
        Self {
            attack: (*attack).to_owned(),
            row: *row,
            mode: "both",
            mitigation: Mitigation::On,
            expected: ELSEWHERE,
            outcome: ELSEWHERE,
            stopped_by: Some(format!("{test} in {file}")),
        }
    }

    /// Whether it is as expected.
    pub(super) fn is_right(&self) -> bool {
        self.outcome == self.expected
    }

    fn verdict(&self) -> &'static str {
        if self.is_right() { "ok" } else { "WRONG" }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attack, mode, mitigation, outcome, .. } = self;
        write!(f, "{} {attack}, {mode}, mitigation {mitigation}: {outcome}", self.verdict())?;
        self.stopped_by.iter().try_for_each(|by| write!(f, " ({by})"))
    }
}

impl fmt::Display for Mitigation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// A mode's name.
pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Joined => "joined",
        Mode::Contained => "contained",
    }
}

/// The list for programs.
pub(super) fn list(records: &[Record]) -> Value {
    let one = |record: &Record| {
        json!({
            "attack": record.attack,
            "row": record.row,
            "mode": record.mode,
            "mitigation": record.mitigation.to_string(),
            "expected": record.expected,
            "outcome": record.outcome,
            "stopped_by": record.stopped_by,
        })
    };
    records.iter().map(one).collect()
}

/// The table for people.
pub(super) fn table(records: &[Record]) -> String {
    const HEAD: [&str; 7] = ["attack", "row", "mode", "mitigation", "outcome", "stopped by", ""];
    let row = |record: &Record| {
        let outcome = match record.outcome {
            SURVIVED => "SURVIVED",
            BY_DESIGN => "SURVIVED, by design",
            ELSEWHERE => "proved elsewhere",
            LEFT_OUT => "left out",
            other => other,
        };
        [
            record.attack.clone(),
            record.row.to_string(),
            record.mode.to_owned(),
            record.mitigation.to_string(),
            outcome.to_owned(),
            record.stopped_by.clone().unwrap_or_default(),
            record.verdict().to_owned(),
        ]
    };
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(records.iter().map(row));
    let widths: [usize; 7] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].len()).max().unwrap_or_default()
    });
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(expected: Expected, outcome: &Outcome) -> Record {
        Record::new("run-heap", 1, mode(Mode::Joined), Mitigation::Off, expected).with(outcome)
    }

    #[test]
    fn only_what_was_expected_is_right() {
        let stopped = Outcome::Stopped("read-abort at 0x0".to_owned());
        let wrong = Outcome::Wrong("2 faults".to_owned());
        use Expected::{Stopped, Survived, SurvivedByDesign};
        for (expected, outcome, right) in [
            (Stopped, &stopped, true),
            (Stopped, &Outcome::Survived, false),
            (Stopped, &wrong, false),
            (Survived, &stopped, false),
            (Survived, &Outcome::Survived, true),
            (Survived, &wrong, false),
            (SurvivedByDesign, &stopped, false),
            (SurvivedByDesign, &Outcome::Survived, true),
            (SurvivedByDesign, &wrong, false),
        ] {
            assert_eq!(record(expected, outcome).is_right(), right, "{expected:?} {outcome:?}");
        }
    }

    #[test]
    fn a_program_reads_what_came_of_it() {
        let outcome = Outcome::Stopped("read-abort at 0x0".to_owned());
        let list = list(&[record(Expected::Survived, &outcome)]);
        let expected = json!([{
            "attack": "run-heap", "row": 1, "mode": "joined", "mitigation": "off",
            "expected": "survived", "outcome": "stopped", "stopped_by": "read-abort at 0x0",
        }]);
        assert_eq!(list, expected);
        let survived = record(Expected::Survived, &Outcome::Survived);
        assert_eq!(super::list(&[survived])[0]["stopped_by"], Value::Null);
    }

    #[test]
    fn what_this_machine_lacks_is_neither_stopped_nor_survived() {
        let record = record(Expected::Stopped, &Outcome::LeftOut("no tags".to_owned()));
        let list = list(std::slice::from_ref(&record));
        assert!(record.is_right());
        assert_eq!(
            (&list[0]["outcome"], &list[0]["expected"]),
            (&json!("left-out"), &json!("left-out"))
        );
        assert_eq!(list[0]["stopped_by"], "no tags");
    }

    #[test]
    fn people_see_what_is_wrong() {
        let wrong = record(Expected::Survived, &Outcome::Wrong("2 faults".to_owned()));
        let right = record(Expected::SurvivedByDesign, &Outcome::Survived);
        let table = table(&[wrong, right]);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[1].contains("2 faults") && lines[1].ends_with("WRONG"), "{table}");
        assert!(lines[2].contains("SURVIVED, by design") && lines[2].ends_with("ok"), "{table}");
    }
}
