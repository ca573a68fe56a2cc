//! One figure: its values, what they count, and what they are to be.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::beside::Beside;

/// Values of one figure, one a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Of one run, or of a figure that is the same in each.
    pub(crate) fn one(value: f64) -> Self {
        Self(vec![value])
    }

    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let middle = self.0.len() / 2;
        match self.0.len() % 2 {
            0 => Some(f64::midpoint(*self.0.get(middle.checked_sub(1)?)?, self.0[middle])),
            _ => Some(self.0[middle]),
        }
    }

    /// The value that `percent` of the others do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        self.0.get((self.0.len() * percent).div_ceil(100).checked_sub(1)?).copied()
    }

    fn data(&self) -> Value {
        let (least, most) = (self.0.first(), self.0.last());
        json!({ "value": self.median(), "n": self.0.len(), "min": least, "max": most })
    }
}

/// What a figure counts, which says how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Mebibytes,
    Count,
    PerRequest,
    PerSecond,
    RequestsPerSecond,
    Milliseconds,
    Times,
    /// As [`Times`](Self::Times), of things that are about the same.
    Share,
}

impl Unit {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Mebibytes => "MiB",
            Self::Count | Self::PerRequest => "",
            Self::PerSecond | Self::RequestsPerSecond => "/s",
            Self::Milliseconds => "ms",
            Self::Times | Self::Share => "×",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Mebibytes => "MiB",
            Self::Count => "count",
            Self::PerRequest => "count per request",
            Self::PerSecond => "count per second",
            Self::RequestsPerSecond => "requests per second",
            Self::Milliseconds => "ms",
            Self::Times | Self::Share => "ratio",
        }
    }

    fn decimals(self, value: f64) -> usize {
        match self {
            Self::Bytes | Self::Mebibytes | Self::Count | Self::RequestsPerSecond => 0,
            Self::PerRequest | Self::PerSecond | Self::Times if value >= 1000.0 => 0,
            Self::PerRequest | Self::PerSecond | Self::Share => 2,
            Self::Milliseconds | Self::Times => 1,
        }
    }

    fn write(self, value: f64) -> String {
        let number = grouped(&format!("{value:.*}", self.decimals(value)));
        format!("{number} {}", self.symbol()).trim_end().to_owned()
    }
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// Whether more or less of a figure is wanted; this decides which way a ratio is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Better {
    More,
    Less,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its name in the data.
    name: Cow<'static, str>,
    /// Its name in the table.
    label: Cow<'static, str>,
    unit: Unit,
    samples: Beside<Samples>,
    target: Option<Target>,
    judged: Judged,
    better: Option<Better>,
}

/// What of a figure is held against its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// The joined one, or the contained one where there is no other.
    Main,
    /// Both.
    Each,
}

/// Where in a line's cells its name, its two modes and its target are.
pub(crate) const LABEL: usize = 0;
pub(crate) const MODES: [usize; 2] = [1, 2];
pub(crate) const TARGET: usize = 5;
/// How many columns the table has at most.
pub(crate) const COLUMNS: usize = 8;

impl Figure {
    pub(crate) fn new(
        name: impl Into<Cow<'static, str>>,
        label: impl Into<Cow<'static, str>>,
        unit: Unit,
        samples: Beside<Samples>,
    ) -> Self {
        let (name, label) = (name.into(), label.into());
        Self {
            name,
            label,
            unit,
            samples,
            target: None,
            judged: Judged::Main,
            better: Some(Better::Less),
        }
    }

    /// With what it is to be, joined.
    pub(crate) fn target(self, target: Target) -> Self {
        let target = self.samples.joined.is_some().then_some(target);
        Self { target, ..self }
    }

    /// With what it is to be, contained: for a figure of that alone.
    pub(crate) fn contained_target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// With what it is to be, in each mode.
    pub(crate) fn each_target(self, target: Target) -> Self {
        Self { target: Some(target), judged: Judged::Each, ..self }
    }

    pub(crate) fn more_is_better(self) -> Self {
        Self { better: Some(Better::More), ..self }
    }

    /// Of which neither more nor less is wanted, as it is no property of a guest.
    pub(crate) fn for_reference(self) -> Self {
        Self { better: None, ..self }
    }

    fn met(&self) -> Option<bool> {
        let (target, main) = (self.target?, self.main()?);
        let Beside { joined, contained, .. } = self.samples.as_ref();
        Some(match self.judged {
            Judged::Main => target.is_met(main.median()?),
            Judged::Each => {
                let mut medians = [joined, contained].into_iter().flatten().map(Samples::median);
                medians.all(|median| median.is_some_and(|median| target.is_met(median)))
            }
        })
    }

    /// What the target and the range are about.
    fn main(&self) -> Option<&Samples> {
        self.samples.joined.as_ref().or(self.samples.contained.as_ref())
    }

    /// How many times better than Linux.
    fn ratio(&self) -> Option<f64> {
        let (elone, linux) = (self.main()?.median()?, self.samples.linux.as_ref()?.median()?);
        let ratio = match self.better? {
            Better::More => elone / linux,
            Better::Less => linux / elone,
        };
        ratio.is_finite().then_some(ratio)
    }

    /// What it is contained, in what it is joined.
    fn share(&self) -> Option<f64> {
        let share =
            |contained: &Samples, joined: &Samples| Some(contained.median()? / joined.median()?);
        let share = self.samples.as_ref().contained_in_joined(share)??;
        (self.better.is_some() && share.is_finite()).then_some(share)
    }

    /// The same as data; it belongs to `section`.
    pub(crate) fn data(&self, section: &str) -> Value {
        let target = self.target.map(|target| match target {
            Target::AtMost(most) => json!({ "at_most": most }),
            Target::AtLeast(least) => json!({ "at_least": least }),
        });
        json!({
            "name": self.name,
            "section": section,
            "label": self.label,
            "unit": self.unit.name(),
            "joined": self.samples.joined.as_ref().map(Samples::data),
            "contained": self.samples.contained.as_ref().map(Samples::data),
            "linux": self.samples.linux.as_ref().map(Samples::data),
            "of_joined": self.share(),
            "ratio": self.ratio(),
            "target": target,
            "met": self.met(),
        })
    }

    pub(crate) fn cells(&self) -> [String; COLUMNS] {
        let write = |value| self.unit.write(value);
        let median = |samples: &Option<Samples>| {
            samples.as_ref().and_then(Samples::median).map(write).unwrap_or_default()
        };
        let bare = |value: f64| grouped(&format!("{value:.*}", self.unit.decimals(value)));
        let range = match self.main().map(|samples| &samples.0[..]) {
            Some([least, .., most]) => format!("{} … {}", bare(*least), bare(*most)),
            _ => String::new(),
        };
        let target = match self.target {
            Some(Target::AtMost(most)) => format!("≤ {}", grouped(&most.to_string())),
            Some(Target::AtLeast(least)) => format!("≥ {}", grouped(&least.to_string())),
            None => String::new(),
        };
        let target = match self.met() {
            Some(true) => format!("{target}  met    "),
            Some(false) => format!("{target}  NOT MET"),
            None => target,
        };
        [
            format!("  {}", self.label),
            median(&self.samples.joined),
            median(&self.samples.contained),
            self.share().map(|share| Unit::Share.write(share)).unwrap_or_default(),
            range,
            target,
            median(&self.samples.linux),
            self.ratio().map(|ratio| Unit::Times.write(ratio)).unwrap_or_default(),
        ]
    }
}

/// A number with a comma before every third digit of its whole part.
fn grouped(number: &str) -> String {
    let (whole, rest) = number.find('.').map_or((number, ""), |dot| number.split_at(dot));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_the_mean_of_two() {
        assert_eq!(Samples::of([3.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(Samples::of([4.0, 1.0, 2.0, 3.0]).median(), Some(2.5));
        assert_eq!(Samples::default().median(), None);
    }

    #[test]
    fn a_percentile_is_that_of_the_nearest_rank() {
        let samples = Samples::of((1..=1000).map(f64::from));
        assert_eq!((samples.percentile(99), samples.percentile(100)), (Some(990.0), Some(1000.0)));
        assert_eq!(Samples::default().percentile(99), None);
    }

    #[test]
    fn a_target_of_each_mode_is_met_in_each_or_not_at_all() {
        let met = |joined, contained| {
            let (joined, contained) = (Some(Samples::one(joined)), Some(Samples::one(contained)));
            let samples = Beside { joined, contained, linux: None };
            let figure = Figure::new("x", "x", Unit::Share, samples);
            figure.each_target(Target::AtLeast(0.9)).met()
        };
        assert_eq!(met(0.95, 0.9), Some(true));
        assert_eq!(met(0.95, 0.89), Some(false));
        assert_eq!(met(0.89, 0.95), Some(false));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (plain, expected) in
            [("1", "1"), ("1000", "1,000"), ("-123456.7", "-123,456.7"), ("100", "100")]
        {
            assert_eq!(grouped(plain), expected);
        }
    }
}
