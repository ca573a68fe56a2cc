//! Who turns messages of devices into interrupts: nodes below the interrupt controller's (Linux
//! bindings `arm,gic-v3.yaml` and `arm,gic.yaml`). Which devices send to which of them, the nodes of
//! their buses say, by its handle.

use core::ops::Range;

use elone_hal::address::PhysicalRange;
use elone_hal::{gicv2m, its};

use super::bus::Buses;
use super::gic::Controller;
use super::node::{Properties, Value};
use super::{Machine, MessageController, MessageRegisters, Problem};

type Registers<'a> = &'a mut dyn Iterator<Item = Result<PhysicalRange, Problem>>;

/// A GICv3's ITS: `reg` is its two frames. It sees memory as the core does, unless it or the GIC says
/// otherwise.
pub(super) fn its(
    mut registers: Registers<'_>,
    properties: &Properties,
    controller: Option<&Controller>,
    machine: &mut Machine,
) -> Result<(), Problem> {
    let registers = Buses::next(&mut registers)?;
    if registers.length() < its::FRAMES {
        return Err(Problem::BadProperty("reg"));
    }
    let above = controller.is_some_and(|controller| controller.is_noncoherent);
    let coherence = match properties.dma_noncoherent {
        None if !above => its::Coherence::AsItSays,
        _ => its::Coherence::PastTheCaches,
    };
    add(MessageRegisters::Its { registers, coherence }, properties, machine)
}

/// A GICv2m frame. Which lines it has, it may be wrong about; the tree then says so.
pub(super) fn v2m(
    mut registers: Registers<'_>,
    properties: &Properties,
    machine: &mut Machine,
) -> Result<(), Problem> {
    let registers = Buses::next(&mut registers)?;
    if registers.length() < gicv2m::LENGTH {
        return Err(Problem::BadProperty("reg"));
    }
    let lines = match (properties.msi_base_spi, properties.msi_num_spis) {
        (None, None) => None,
        (first, count) => Some(lines(first, count)?),
    };
    add(MessageRegisters::V2m { registers, lines }, properties, machine)
}

fn lines(first: Option<Value>, count: Option<Value>) -> Result<Range<u32>, Problem> {
    let malformed = Problem::BadProperty("arm,msi-base-spi");
    let first = first.and_then(Value::cell).ok_or(malformed)?;
    let count = count.and_then(Value::cell).ok_or(Problem::BadProperty("arm,msi-num-spis"))?;
    Ok(first..first.checked_add(count).ok_or(malformed)?)
}

/// Notes one. It needs a handle, or it would be nobody's.
fn add(
    registers: MessageRegisters,
    properties: &Properties,
    machine: &mut Machine,
) -> Result<(), Problem> {
    let handle = properties.handle().ok_or(Problem::BadProperty("phandle"))?;
    let found = MessageController { handle, registers };
    machine.message_controllers.push(found).map_err(|_| Problem::NoRoom)
}
