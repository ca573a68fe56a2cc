//! What came of the cells, as a table for people, as one for the docs, and as a list for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use elone_harness::Mode;
use elone_harness::conformance::{Findings, Item, Verdict};
use serde_json::{Map, Value, json};

use super::cells::{Cell, How};

/// What came of a cell.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It ran; what was found, and what its host had to say.
    Ran(Findings, String),
    /// This machine lacks what it takes; what that is.
    LeftOut(String),
    /// It is not one that is run.
    NotRun,
}

impl Outcome {
    pub(super) fn of(findings: Findings, remark: &str) -> Self {
        match findings.left_out {
            Some(reason) => Self::LeftOut(reason),
            None => Self::Ran(findings, remark.to_owned()),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(super) struct Record<'c> {
    cell: &'c Cell,
    mode: Mode,
    /// The image's.
    checksum: Option<String>,
    outcome: Outcome,
}

impl<'c> Record<'c> {
    pub(super) const fn new(
        cell: &'c Cell,
        mode: Mode,
        checksum: Option<String>,
        outcome: Outcome,
    ) -> Self {
        Self { cell, mode, checksum, outcome }
    }

    /// Whether something that is there does not work.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(&self.outcome, Outcome::Ran(findings, _) if !findings.conform())
    }

    /// A mark for each item.
    fn marks(&self) -> Vec<&'static str> {
        let Outcome::Ran(findings, _) = &self.outcome else { return vec![""; Item::ALL.len()] };
        let mark = |verdict: &Verdict| match verdict {
            Verdict::Kept => "yes",
            Verdict::NotThere => "-",
            Verdict::Failed(_) => "NO",
        };
        findings.verdicts.iter().map(|(_, verdict)| mark(verdict)).collect()
    }

    /// What proves it.
    fn proof(&self) -> String {
        match (&self.outcome, &self.cell.how) {
            (Outcome::LeftOut(reason), _) => format!("left out: {reason}"),
            (Outcome::Ran(findings, _), _) if !findings.conform() => format!("WRONG: {findings}"),
            (_, How::Tree(tree)) => format!("its tree is read ({tree})"),
            (_, How::Nothing(why)) => format!("not proved: {why}"),
            _ => "run".to_owned(),
        }
    }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.cell.name, mode(self.mode), self.proof())?;
        match &self.outcome {
            Outcome::Ran(_, remark) if self.is_wrong() => f.write_str(remark),
            _ => Ok(()),
        }
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Joined => "joined",
        Mode::Contained => "contained",
    }
}

/// The list for programs.
pub(super) fn list(records: &[Record]) -> Value {
    let one = |record: &Record| {
        let marks = Item::ALL.iter().zip(record.marks());
        let items: Map<String, Value> = marks
            .filter(|(_, mark)| !mark.is_empty())
            .map(|(item, mark)| (item.name().to_owned(), json!(mark)))
            .collect();
        let proof = match (&record.outcome, &record.cell.how) {
            (Outcome::Ran(..), _) => "run",
            (Outcome::LeftOut(_), _) => "left-out",
            (_, How::Tree(_)) => "tree",
            _ => "none",
        };
        json!({
            "family": record.cell.family,
            "cell": record.cell.name,
            "mode": mode(record.mode),
            "proof": proof,
            "conforms": matches!(record.outcome, Outcome::Ran(..)).then(|| !record.is_wrong()),
            "items": items,
            "sha256": record.checksum,
            "note": record.proof(),
        })
    };
    records.iter().map(one).collect()
}

/// The table for people.
pub(super) fn table(records: &[Record]) -> String {
    let mut rows = vec![head()];
    rows.extend(records.iter().map(|record| {
        let mut row = vec![record.cell.name.clone(), mode(record.mode).to_owned()];
        row.extend(record.marks().into_iter().map(str::to_owned));
        row.push(record.proof());
        row
    }));
    let widths: Vec<usize> = (0..head().len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default())
        .collect();
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table + "\n" + &checksums(records)
}

fn head() -> Vec<String> {
    let items = Item::ALL.iter().map(|item| item.name());
    let columns = ["machine", "mode"].into_iter().chain(items).chain(["proved by"]);
    columns.map(str::to_owned).collect()
}

/// A line of the table for the docs: cells that differ in nothing but mode and core.
struct Line<'r> {
    machine: &'r str,
    modes: Vec<&'static str>,
    marks: Vec<&'static str>,
    proof: String,
    cores: Vec<&'r str>,
}

/// The same as Markdown, with fewer lines.
pub(super) fn markdown(records: &[Record]) -> String {
    let mut lines: Vec<Line> = Vec::new();
    for record in records {
        let name = record.cell.name.as_str();
        let (machine, core) = match name.rsplit_once(' ') {
            Some((machine, core)) if record.cell.family == "QEMU virt" => (machine, Some(core)),
            _ => (name, None),
        };
        let (marks, proof) = (record.marks(), record.proof());
        let is_same = |line: &&mut Line| {
            (line.machine, &line.marks, &line.proof) == (machine, &marks, &proof)
        };
        let mode = mode(record.mode);
        match lines.iter_mut().find(is_same) {
            Some(line) => {
                if !line.modes.contains(&mode) {
                    line.modes.push(mode);
                }
                line.cores.extend(core.filter(|core| !line.cores.contains(core)));
            }
            None => {
                let (modes, cores) = (vec![mode], core.into_iter().collect());
                lines.push(Line { machine, modes, marks, proof, cores });
            }
        }
    }
    let mut table = format!("| {} |\n|{}\n", head().join(" | "), "---|".repeat(head().len()));
    for Line { machine, modes, marks, proof, cores } in lines {
        let on = if cores.is_empty() { String::new() } else { format!(" on {}", cores.join(", ")) };
        let (modes, marks) = (modes.join(", "), marks.join(" | "));
        let _never_fails = writeln!(table, "| {machine} | {modes} | {marks} | {proof}{on} |");
    }
    let checksums: String = checksums(records).lines().map(|line| format!("- {line}\n")).collect();
    table + "\n" + &checksums
}

/// How many cells each image was in.
fn checksums(records: &[Record]) -> String {
    let mut cells = BTreeMap::<(&str, &str), usize>::new();
    for record in records {
        if let Some(checksum) = &record.checksum {
            *cells.entry((mode(record.mode), checksum)).or_default() += 1;
        }
    }
    let line = |((mode, checksum), count)| format!("{mode}, {count} cells: sha256 {checksum}\n");
    cells.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(name: &str) -> Cell {
        let how = How::Map { host: "edge", map: "x", has_slots: true };
        Cell { family: "QEMU virt", name: name.to_owned(), is_quick: true, how }
    }

    fn record(cell: &Cell, verdict: Verdict) -> Record<'_> {
        let verdicts = Item::ALL.into_iter().map(|item| (item, verdict.clone())).collect();
        let findings = Findings { verdicts, left_out: None };
        let outcome = Outcome::Ran(findings, String::new());
        Record::new(cell, Mode::Joined, Some("5a".to_owned()), outcome)
    }

    #[test]
    fn what_fails_is_wrong_and_what_is_not_there_is_not() {
        let cell = cell("virt EL1 one");
        assert!(!record(&cell, Verdict::Kept).is_wrong());
        assert!(!record(&cell, Verdict::NotThere).is_wrong());
        let wrong = record(&cell, Verdict::Failed("no answer".to_owned()));
        assert!(wrong.is_wrong());
        let table = table(std::slice::from_ref(&wrong));
        assert!(table.contains("WRONG: boots: no answer"), "{table}");
        let list = list(&[wrong]);
        assert_eq!((&list[0]["conforms"], &list[0]["items"]["net"]), (&json!(false), &json!("NO")));
    }

    #[test]
    fn cores_share_a_line_where_they_are_alike() {
        let cells = ["virt EL1 one", "virt EL1 two", "virt EL2 one"].map(cell);
        let records: Vec<_> = cells.iter().map(|cell| record(cell, Verdict::Kept)).collect();
        let text = markdown(&records);
        assert!(text.contains("| virt EL1 | joined | yes"), "{text}");
        assert!(text.contains("run on one, two |"), "{text}");
        assert!(text.contains("joined, 3 cells: sha256 5a"), "{text}");
    }
}
