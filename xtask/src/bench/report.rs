//! What was measured, and how it is shown: a table to read, or the same as data.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::figure::COLUMNS;
pub(crate) use super::figure::{Figure, Samples, Target, Unit};
use super::grid::Grid;

/// Figures that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) figures: Vec<Figure>,
}

/// Everything that was measured, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// The machine: what it is, and how busy it was.
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) sections: Vec<Section>,
    /// What has more than one figure a row.
    pub(crate) grids: Vec<Grid>,
    /// What a reader of the figures should know.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// The table, for people.
    pub(crate) fn table(&self) -> String {
        let figures = || self.sections.iter().flat_map(|section| &section.figures);
        let heads: [&str; COLUMNS] = [
            "",
            "joined",
            "contained",
            "of joined",
            "least … most",
            "target         ",
            "Linux + nginx",
            "ratio",
        ];
        let rows: Vec<[String; COLUMNS]> = figures().map(Figure::cells).collect();
        let mut widths = heads.map(|head| head.chars().count());
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        // What nobody has is no column.
        let shown = |column: &usize| rows.iter().any(|row| !row[*column].is_empty());
        let shown: Vec<usize> = (0..COLUMNS).filter(shown).collect();
        let line = |cells: &[String]| {
            let mut line = String::new();
            for &column in &shown {
                let (cell, width) = (&cells[column], widths[column]);
                let pad = " ".repeat(width - cell.chars().count());
                let (before, after) = if column == 0 { ("", pad.as_str()) } else { (&*pad, "") };
                let gap = if column == 0 { "" } else { "  " };
                line.extend([gap, before, cell.as_str(), after]);
            }
            line.truncate(line.trim_end().len());
            line
        };
        let mut text = String::new();
        for (name, value) in &self.machine {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}: {value}");
        }
        if !self.sections.is_empty() {
            let _ = writeln!(text, "\n{}", line(&heads.map(str::to_owned)));
        }
        let mut rows = rows.iter();
        for section in &self.sections {
            let _ = writeln!(text, "{}", section.title);
            for row in rows.by_ref().take(section.figures.len()) {
                let _ = writeln!(text, "{}", line(row));
            }
        }
        for grid in &self.grids {
            let _ = write!(text, "\n{}", grid.table());
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
        text
    }

    /// The same as data.
    pub(crate) fn data(&self) -> Value {
        let machine: serde_json::Map<_, _> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let columns = self.grids.iter().flat_map(|grid| &grid.columns);
        let columns = columns.map(|column| &column.section);
        let figures: Vec<_> = self
            .sections
            .iter()
            .chain(columns)
            .flat_map(|section| section.figures.iter().map(|figure| (section.title, figure)))
            .map(|(section, figure)| figure.data(section))
            .collect();
        json!({ "machine": machine, "figures": figures, "notes": self.notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::beside::Beside;
    use crate::bench::grid::Column;

    #[test]
    fn the_table_says_what_is_met_and_how_many_times_better() {
        let beside = |joined, contained, linux| Beside { joined, contained, linux };
        let one = |value| Some(Samples::one(value));
        let rate = beside(one(6000.0), one(5400.0), one(400.0));
        let rate = Figure::new("rate", "requests", Unit::RequestsPerSecond, rate)
            .target(Target::AtLeast(7000.0))
            .more_is_better();
        let size = beside(Some(Samples::of([9.0, 10.0, 12.0])), None, None);
        let size = Figure::new("size", "image", Unit::Bytes, size).target(Target::AtMost(10.0));
        let call = Beside::contained(Samples::one(401.0));
        let call =
            Figure::new("call", "call", Unit::Count, call).contained_target(Target::AtMost(400.0));
        let mut report = Report {
            machine: vec![("host", "two cores".into())],
            sections: vec![Section { title: "All", figures: vec![rate, size, call.clone()] }],
            notes: vec!["busy".into()],
            ..Report::default()
        };
        let table = report.table();
        for part in [
            "6,000 /s",
            "5,400 /s",
            "0.90 ×",
            "≥ 7,000  NOT MET",
            "15.0 ×",
            "≤ 10  met",
            "9 … 12",
            "≤ 400  NOT MET",
            "note: busy",
        ] {
            assert!(table.contains(part), "{part} is not in\n{table}");
        }
        let data = report.data();
        assert_eq!(data["figures"][0]["ratio"], 15.0);
        assert_eq!(data["figures"][0]["of_joined"], 0.9);
        assert_eq!(data["figures"][0]["met"], false);
        assert_eq!(data["figures"][1]["joined"]["max"], 12.0);
        assert_eq!(data["figures"][1]["linux"], Value::Null);

        let column = Section { title: "Column", figures: vec![call.clone()] };
        let column = Column { head: "head", section: column };
        report.grids = vec![Grid { title: "Grid".into(), columns: vec![column] }];
        assert_eq!(report.data()["figures"][3]["section"], "Column");
        assert!(report.table().contains("\nGrid\n"), "{}", report.table());
        report.grids.clear();

        report.sections = vec![Section { title: "All", figures: vec![call] }];
        let heads = report.table();
        assert!(heads.contains("contained") && !heads.contains("joined"), "{heads}");
    }
}
