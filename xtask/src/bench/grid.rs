//! Several figures of each of several things: a row a thing, a column a figure, once for each mode.

use std::fmt::Write as _;

use super::figure::{COLUMNS, LABEL, MODES, TARGET};
use super::report::{Figure, Section};

/// What the modes are called, in the order of a line's cells.
const NAMES: [&str; MODES.len()] = ["joined", "contained"];

/// A figure of every row.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// What stands above it; the section's title is for the data.
    pub(crate) head: &'static str,
    /// A figure a row.
    pub(crate) section: Section,
}

/// Columns of the same rows.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) title: String,
    pub(crate) columns: Vec<Column>,
}

impl Column {
    /// Puts a row's figure in.
    pub(crate) fn add(&mut self, figure: Figure) {
        self.section.figures.push(figure);
    }
}

impl Grid {
    /// The grid, for people. What is nobody's is no column.
    pub(crate) fn table(&self) -> String {
        let lines = self.lines();
        let count = lines.iter().map(Vec::len).max().unwrap_or_default();
        let cell = |line: &'_ Vec<String>, column: usize| line.get(column).cloned();
        let of = |column| lines.iter().map(move |line| cell(line, column).unwrap_or_default());
        // Two lines of heads, and the first column, say nothing of anybody.
        let shown = (0..count).filter(|column| of(*column).skip(2).any(|cell| !cell.is_empty()));
        let widths: Vec<(usize, usize)> = shown
            .map(|column| (column, of(column).map(|cell| cell.chars().count()).max().unwrap_or(0)))
            .collect();
        let mut text = format!("{}\n", self.title);
        for line in &lines {
            let mut written = String::new();
            for &(column, width) in &widths {
                let cell = cell(line, column).unwrap_or_default();
                // Writing to a string does not fail.
                let _ = match column {
                    LABEL => write!(written, "{cell:width$}"),
                    _ => write!(written, "  {cell:>width$}"),
                };
            }
            let _ = writeln!(text, "{}", written.trim_end());
        }
        text
    }

    /// The heads, and then each row's cells: its label, each mode's figures, what they are to be.
    fn lines(&self) -> Vec<Vec<String>> {
        let cells: Vec<Vec<[String; COLUMNS]>> = self
            .columns
            .iter()
            .map(|column| column.section.figures.iter().map(Figure::cells).collect())
            .collect();
        let rows = cells.iter().map(Vec::len).min().unwrap_or_default();
        let each = || NAMES.iter().flat_map(|name| self.columns.iter().map(move |all| (name, all)));
        let line = |cells: &mut dyn Iterator<Item = String>| -> Vec<String> {
            std::iter::once(String::new()).chain(cells).collect()
        };
        let mut lines = vec![
            line(&mut each().map(|(mode, _)| (*mode).to_owned())),
            line(&mut each().map(|(_, column)| column.head.to_owned())),
        ];
        for row in 0..rows {
            let here = || cells.iter().map(|column| &column[row]);
            let label = here().map(|cells| cells[LABEL].clone()).take(1);
            let modes = MODES.into_iter().flat_map(|mode| here().map(move |all| all[mode].clone()));
            let targets = here().map(|cells| cells[TARGET].trim_end().to_owned());
            let targets = targets.filter(|target| !target.is_empty()).take(1);
            lines.push(label.chain(modes).chain(targets).collect());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::beside::Beside;
    use crate::bench::report::{Samples, Target, Unit};

    fn grid(joined: Option<f64>) -> Grid {
        let of = |joined: Option<f64>, contained| Beside {
            joined: joined.map(Samples::one),
            contained: Some(Samples::one(contained)),
            linux: None,
        };
        let figure =
            |unit, joined, contained| Figure::new("x", "seal", unit, of(joined, contained));
        let column = |head, figure| Column {
            head,
            section: Section { title: "Cost", figures: vec![figure] },
        };
        let share = figure(Unit::Share, joined.map(|_| 0.97), 0.88);
        let share = share.contained_target(Target::AtLeast(0.9));
        Grid {
            title: "Protections".into(),
            columns: vec![
                column("boot", figure(Unit::Count, joined, 1234.0)),
                column("requests/s", share),
            ],
        }
    }

    #[test]
    fn a_row_has_each_modes_figures_and_what_they_are_to_be() {
        let table = grid(Some(-1000.0)).table();
        let row = table.lines().last().unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        let expected = ["seal", "-1,000", "0.97", "×", "1,234", "0.88", "×", "≥", "0.9", "met"];
        assert_eq!(words, expected, "{table}");
        let heads: Vec<_> = table.lines().skip(1).map(str::trim).collect();
        assert!(heads[0].starts_with("joined") && heads[1].starts_with("boot"), "{table}");
    }

    #[test]
    fn what_is_nobodys_is_no_column() {
        let table = grid(None).table();
        assert!(table.contains("contained") && !table.contains("joined"), "{table}");
        assert!(table.contains("≥ 0.9  NOT MET"), "{table}");
    }
}
