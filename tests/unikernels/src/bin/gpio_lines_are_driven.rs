//! Drives a line of a GPIO controller by the traits of embedded-hal, and looks at what became of it:
//! line `app.line=` of the first controller, which it may have, and `app.other=`, which it may not.
#![no_std]
#![no_main]

use elone::gate::{Error, GpioLevel, GpioLine, GpioOperation, calls};
use elone::{Platform, info};
use embedded_hal::digital::{InputPin, OutputPin, StatefulOutputPin};

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let number = |name| platform.setting(name).and_then(|number| number.parse().ok());
    let (Some(line), Some(other)) = (number("line"), number("other")) else {
        return Err("which lines?");
    };
    let ours = GpioLine { controller: 0, line };
    let refused = |line, operation, error| calls::gpio(line, operation) == Err(error);
    let is_kept =
        refused(GpioLine { line: other, ..ours }, GpioOperation::Claim, Error::NoSuchDevice)
            && refused(
                GpioLine { controller: 255, line: 255 },
                GpioOperation::Claim,
                Error::NoSuchDevice,
            )
            && calls::gpio(ours, GpioOperation::DriveHigh).is_err();
    if !is_kept {
        return Err("a line that is not ours was given");
    }
    let mut lamp = platform
        .gpio(0, line)
        .and_then(|line| line.into_output(GpioLevel::High))
        .map_err(|_| "there is no such line")?;
    if platform.gpio(0, line).is_ok() {
        return Err("a line has two owners");
    }
    for _ in 0..3 {
        lamp.set_high().map_err(|_| "not driven high")?;
        if lamp.is_high() != Ok(true) || lamp.is_low() != Ok(false) {
            return Err("it is not high");
        }
        lamp.toggle().map_err(|_| "not driven low")?;
        if lamp.is_high() != Ok(false) || lamp.is_set_low() != Ok(true) {
            return Err("it is not low");
        }
    }
    let mut key = lamp.into_line().into_input().map_err(|_| "not an input")?;
    info!("driven, and let go: {}", if key.is_low() == Ok(true) { "low" } else { "high" });
    Ok(())
}
