//! The table `[early]` of a board file.
//!
//! ```toml
//! [early]
//! uart = { model = "ns16550a", address = 0xfe21_5040, register-shift = 2, access-width = 4 }
//! device-tree = 0x4000_0000
//! distributor = 0x0800_0000
//! cpu-interface = 0x0801_0000
//! counter-frequency = 62_500_000
//! ```
//!
//! Every field may be left out. `model` is `pl011`, `sbsa`, `ns16550a`, `bcm2835-aux` or `cadence`;
//! `register-shift` (0 to 3, else 0) and `access-width` (1 or 4, else 1) are for the `ns16550a`; with
//! an `access-width` of 4, `register-shift` is 2 or 3.

extern crate std;

use core::fmt;
use core::ops::Range;
use std::borrow::ToOwned;
use std::format;
use std::string::String;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Early, EarlyUart, UartModel};

/// What is wrong with a table: where, which field, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The file's line, from 1.
    pub line: usize,
    /// The field, with those around it: `early.uart.model`. Empty where the file is no TOML.
    pub field: String,
    /// Why it cannot be taken.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.field.is_empty() {
            write!(f, "`{}`: ", self.field)?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for Wrong {}

/// Reads the table from a board file's text; `None` where there is none.
///
/// # Errors
/// The file is no TOML, or the table has a field that is unknown, or of no use as it is.
pub fn read(text: &str) -> Result<Option<Early>, Wrong> {
    let file = DeTable::parse(text).map_err(|error| Wrong {
        line: line_of(text, &error.span().unwrap_or_default()),
        field: String::new(),
        why: error.message().to_owned(),
    })?;
    let Some(early) = file.get_ref().get("early") else { return Ok(None) };
    let early = Fields::of(text, "early", early)?;
    early.only(&["uart", "device-tree", "distributor", "cpu-interface", "counter-frequency"])?;
    if early.number("counter-frequency")? == Some(0) {
        return Err(early.wrong("counter-frequency", "a counter that never counts is none"));
    }
    let number = |name| Ok(early.number(name)?.unwrap_or(0));
    Ok(Some(Early {
        uart: early.table("uart")?.map(|table| uart(&table)).transpose()?,
        device_tree: early.number("device-tree")?,
        distributor: number("distributor")?,
        cpu_interface: number("cpu-interface")?,
        counter_frequency: number("counter-frequency")?,
    }))
}

/// The constant that says the same, in Rust, where the names of this crate are known.
#[must_use]
pub fn constant(early: &Early) -> String {
    format!("{early:?}")
}

fn uart(table: &Fields<'_>) -> Result<EarlyUart, Wrong> {
    const MODELS: &str = "it is `pl011`, `sbsa`, `ns16550a`, `bcm2835-aux` or `cadence`";
    let (model, value) = table.text("model")?.ok_or_else(|| table.missing("model"))?;
    let small = |name, usual, good: &[u64], told: &str| {
        let number = table.number(name)?.unwrap_or(usual);
        match u8::try_from(number) {
            Ok(small) if good.contains(&number) => Ok(small),
            _ => Err(table.wrong(name, told)),
        }
    };
    let model = match model {
        "pl011" => UartModel::Pl011,
        "sbsa" => UartModel::Sbsa,
        "ns16550a" => {
            let register_shift = small("register-shift", 0, &[0, 1, 2, 3], "it takes 0 to 3")?;
            let access_width = small("access-width", 1, &[1, 4], "it takes 1 or 4 (bytes)")?;
            if 1 << register_shift < access_width {
                // Most registers would lie where nothing of four bytes may be accessed: a mute port.
                return Err(table.wrong("access-width", "4 takes a `register-shift` of 2 or 3"));
            }
            UartModel::Ns16550 { register_shift, access_width }
        }
        "bcm2835-aux" => UartModel::Bcm2835Aux,
        "cadence" => UartModel::Cadence,
        _ => return Err(table.at(value, "model", MODELS)),
    };
    table.only(match model {
        UartModel::Ns16550 { .. } => &["model", "address", "register-shift", "access-width"],
        _ => &["model", "address"],
    })?;
    let address = table.number("address")?.ok_or_else(|| table.missing("address"))?;
    if !address.is_multiple_of(4) {
        return Err(table.wrong("address", "it takes a multiple of 4"));
    }
    Ok(EarlyUart { model, address })
}

/// The fields of a table, which know where they are written.
struct Fields<'a> {
    text: &'a str,
    path: String,
    span: Range<usize>,
    fields: &'a DeTable<'a>,
}

impl<'a> Fields<'a> {
    fn of(text: &'a str, path: &str, value: &'a Spanned<DeValue<'a>>) -> Result<Self, Wrong> {
        let (path, span) = (path.to_owned(), value.span());
        match value.get_ref().as_table() {
            Some(fields) => Ok(Self { text, path, span, fields }),
            None => Err(Wrong {
                line: line_of(text, &span),
                field: path,
                why: "it takes a table, { … }".to_owned(),
            }),
        }
    }

    fn table(&self, name: &str) -> Result<Option<Self>, Wrong> {
        let path = format!("{}.{name}", self.path);
        self.fields.get(name).map(|value| Self::of(self.text, &path, value)).transpose()
    }

    fn text(&self, name: &str) -> Result<Option<(&'a str, &'a Spanned<DeValue<'a>>)>, Wrong> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        let text = value.get_ref().as_str();
        text.map(|text| Some((text, value))).ok_or_else(|| self.at(value, name, "it takes a text"))
    }

    /// A number of 64 bits, decimal or with its prefix: more than TOML promises.
    fn number(&self, name: &str) -> Result<Option<u64>, Wrong> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        let told = "it takes a number from 0, in quotes never";
        number.map(Some).ok_or_else(|| self.at(value, name, told))
    }

    /// Refuses fields of other names.
    fn only(&self, known: &[&str]) -> Result<(), Wrong> {
        let stranger = self.fields.keys().find(|name| !known.contains(&name.get_ref().as_ref()));
        stranger.map_or(Ok(()), |name| {
            let line = line_of(self.text, &name.span());
            let field = format!("{}.{}", self.path, name.get_ref());
            Err(Wrong { line, field, why: format!("there is {} here", known.join(", ")) })
        })
    }

    fn missing(&self, name: &str) -> Wrong {
        let field = format!("{}.{name}", self.path);
        Wrong { line: line_of(self.text, &self.span), field, why: "it is missing".to_owned() }
    }

    fn wrong(&self, name: &str, why: &str) -> Wrong {
        self.fields.get(name).map_or_else(|| self.missing(name), |value| self.at(value, name, why))
    }

    fn at(&self, value: &Spanned<DeValue<'_>>, name: &str, why: &str) -> Wrong {
        let field = format!("{}.{name}", self.path);
        Wrong { line: line_of(self.text, &value.span()), field, why: why.to_owned() }
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    const GOOD: &str = "summary = \"m\"\n[early]\n\
        uart = { model = \"ns16550a\", address = 0xfe21_5040, register-shift = 2, access-width = 4 }\n\
        device-tree = 0x4000_0000\ndistributor = 134217728\ncpu-interface = 0x0801_0000\n\
        counter-frequency = 62_500_000\n";

    #[test]
    fn a_table_is_read_as_it_is_written() {
        let early = read(GOOD).unwrap().unwrap();
        let model = UartModel::Ns16550 { register_shift: 2, access_width: 4 };
        assert_eq!(early.uart, Some(EarlyUart { model, address: 0xfe21_5040 }));
        assert_eq!(early.device_tree, Some(0x4000_0000));
        assert_eq!((early.distributor, early.cpu_interface), (0x0800_0000, 0x0801_0000));
        assert_eq!(early.counter_frequency, 62_500_000);
        assert_eq!(read("summary = \"m\"").unwrap(), None);
        let least = read("[early]").unwrap().unwrap();
        assert_eq!((least.uart, least.device_tree, least.distributor), (None, None, 0));
        let high = read("[early]\ndevice-tree = 0xffff_ffff_ffff_0000").unwrap().unwrap();
        assert_eq!(high.device_tree, Some(0xffff_ffff_ffff_0000));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (right, wrong, line, mention) in [
            ("ns16550a", "ns8250", 3, "`early.uart.model`: it is `pl011`"),
            ("ns16550a", "pl011", 3, "`early.uart.access-width`: there is model"),
            ("address", "adress", 3, "`early.uart.adress`"),
            (", access-width = 4", ", access-width = 2", 3, "`early.uart.access-width`"),
            ("register-shift = 2", "register-shift = 1", 3, "`early.uart.access-width`: 4 takes"),
            ("register-shift = 2, ", "", 3, "`early.uart.access-width`: 4 takes"),
            ("0xfe21_5040", "\"0xfe215040\"", 3, "`early.uart.address`"),
            ("address = 0xfe21_5040, ", "", 3, "`early.uart.address`: it is missing"),
            ("134217728", "-1", 5, "`early.distributor`"),
            ("device-tree = ", "device-tree = -", 4, "line 4: "),
            ("distributor = ", "distributer = ", 5, "`early.distributer`"),
            ("62_500_000", "62.5e6", 7, "`early.counter-frequency`"),
            ("[early]", "early = 5\n[x]", 2, "`early`: it takes a table"),
            ("134217728", "= 5", 5, "line 5: "),
        ] {
            let error = read(&GOOD.replace(right, wrong)).unwrap_err();
            assert!(error.line == line && error.to_string().contains(mention), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_constant_is_rust() {
        let text = constant(&read(GOOD).unwrap().unwrap());
        let uart = "uart: Some(EarlyUart { model: Ns16550 { register_shift: 2, access_width: 4 }";
        assert!(text.starts_with(&format!("Early {{ {uart}, address: 4263596096 }})")), "{text}");
    }
}
