//! What whoever started the machine chose: `/chosen` (Devicetree Specification 0.4, section 3.6;
//! for what the arm64 boot protocol adds, the `chosen` schema of dt-schema).

use elone_hal::address::PhysicalRange;
use heapless::String;

use super::node::{Properties, Value};
use super::survey::Survey;
use super::tree::Tree;
use super::{Machine, Problem, Seeds};

impl<'t> Survey<'_, 't> {
    /// Notes what `/chosen` says.
    pub(super) fn choose(&mut self, tree: &Tree, chosen: &Properties<'t>) {
        self.consoles.stdout_path = chosen.stdout_path;
        let machine = &mut *self.machine;
        let problems =
            [initrd(machine, chosen), bootargs(machine, chosen), seeds(machine, chosen, tree)];
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

fn seeds(machine: &mut Machine, chosen: &Properties, tree: &Tree) -> Result<(), Problem> {
    let seeds = &mut machine.seeds;
    for seed in [chosen.kaslr_seed, chosen.rng_seed].into_iter().flatten() {
        let start = tree.offset_of(seed.0);
        // There is room for both; a second `/chosen` is against the specification.
        let _ = seeds.places.push(start..start + seed.0.len());
    }
    if let Some(seed) = chosen.rng_seed {
        seeds.rng = seed.0.iter().copied().take(Seeds::RNG).collect();
    }
    if let Some(seed) = chosen.kaslr_seed {
        let seed = seed.number().ok_or(Problem::BadProperty("kaslr-seed"))?;
        seeds.kaslr = Some(seed).filter(|seed| *seed != 0);
    }
    Ok(())
}
