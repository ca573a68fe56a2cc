//! Serial ports, by kind, and what of their nodes it takes to drive them.

use super::node::{Properties, Value};
use super::{Problem, UartModel};

/// What kind of UART a node is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Pl011,
    Sbsa,
    Ns16550,
    Bcm2835Aux,
    Cadence,
}

impl Kind {
    /// What the UART understands: its kind, and what its node says of it.
    pub(super) fn model(self, properties: &Properties) -> Result<UartModel, Problem> {
        match self {
            Self::Pl011 => Ok(UartModel::Pl011),
            Self::Sbsa => Ok(UartModel::Sbsa),
            Self::Ns16550 => ns16550(properties),
            Self::Bcm2835Aux => Ok(UartModel::Bcm2835Aux),
            Self::Cadence => Ok(UartModel::Cadence),
        }
    }
}

/// A 16550's layout (dt-schema, `8250.yaml`): bytes, one after the other, unless it says otherwise. One
/// whose registers are words of four bytes that overlap, or of two bytes, is not to be had here.
fn ns16550(properties: &Properties) -> Result<UartModel, Problem> {
    let byte = |value: Option<Value>, default| match value {
        Some(value) => value.cell().and_then(|cell| u8::try_from(cell).ok()),
        None => Some(default),
    };
    let register_shift = byte(properties.reg_shift, 0).filter(|shift| *shift <= 3);
    let register_shift = register_shift.ok_or(Problem::BadProperty("reg-shift"))?;
    let access_width = byte(properties.reg_io_width, 1)
        .filter(|width| *width == 1 || *width == 4 && register_shift >= 2);
    let access_width = access_width.ok_or(Problem::BadProperty("reg-io-width"))?;
    Ok(UartModel::Ns16550 { register_shift, access_width })
}
