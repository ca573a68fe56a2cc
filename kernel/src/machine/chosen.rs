//! What whoever started the machine chose: `/chosen` (Devicetree Specification 0.4, section 3.6;
//! for what the arm64 boot protocol adds, the `chosen` schema of dt-schema).

use elone_hal::address::PhysicalRange;
use heapless::String;

use super::node::{Properties, Value};
use super::survey::Survey;
use super::{Machine, Problem};

impl<'t> Survey<'_, 't> {
    /// Notes what `/chosen` says, bar the seeds: they were taken, and wiped, before ([`crate::seed`]).
    pub(super) fn choose(&mut self, chosen: &Properties<'t>) {
        self.consoles.stdout_path = chosen.stdout_path;
        let machine = &mut *self.machine;
        machine.pci_is_set_up = chosen.pci_probe_only.is_some_and(|value| value.cell() != Some(0));
        let problems = [initrd(machine, chosen), bootargs(machine, chosen)];
        for problem in problems.into_iter().filter_map(Result::err) {
            machine.warn("chosen", problem);
        }
    }
}

fn initrd(machine: &mut Machine, chosen: &Properties) -> Result<(), Problem> {
    let (start, end) = match (chosen.initrd_start, chosen.initrd_end) {
        (None, None) => return Ok(()),
        (start, end) => (start.and_then(Value::number), end.and_then(Value::number)),
    };
    let start = start.ok_or(Problem::BadProperty("linux,initrd-start"))?;
    let length = end.and_then(|end| end.checked_sub(start));
    let length = length.ok_or(Problem::BadProperty("linux,initrd-end"))?;
    machine.initrd = PhysicalRange::new(start, length).filter(|range| !range.is_empty());
    Ok(())
}

/// All or nothing: a setting cut in half could mean another one.
fn bootargs(machine: &mut Machine, chosen: &Properties) -> Result<(), Problem> {
    let Some(value) = chosen.bootargs else { return Ok(()) };
    let text = value.text().and_then(|text| String::try_from(text.trim_end_matches('\0')).ok());
    machine.bootargs = text.ok_or(Problem::BadProperty("bootargs"))?;
    Ok(())
}
