//! What protections weigh: bytes of images with the instructions that sign and mark, less without
//! them, and of the table by which an image is moved at each boot.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use elone_harness::Mode;
use object::{Object, ObjectSection};

use super::Bench;
use super::beside::Beside;
use super::grid::Grid;
use super::protections::column;
use super::report::{Figure, Samples, Unit};
use crate::build::{Order, Profile};
use crate::seed;
use crate::toolchain::Purpose;

/// Whose images are weighed.
const PROGRAMS: [&str; 2] = ["hello", "gateway"];
/// The section with the relocations.
const RELOCATIONS: &str = ".relr.dyn";

/// Bytes of one image.
#[derive(Clone, Copy, Debug)]
struct Weight {
    image: u64,
    unmarked: u64,
    relocations: u64,
}

impl Weight {
    /// A column's value each.
    fn values(self) -> [f64; 3] {
        let Self { image, unmarked, relocations } = self;
        [image as f64, image as f64 - unmarked as f64, relocations as f64]
    }
}

pub(super) fn grid(bench: &Bench) -> Result<Grid> {
    let modes = bench.modes().try_map(|mode| weigh(bench, mode))?;
    let mut columns = [
        column("image", "Protections: bytes of an image"),
        column("marks", "Protections: bytes for signed returns and landing pads"),
        column("relocations", "Protections: bytes for a random layout's relocations"),
    ];
    let kinds = ["image", "marks", "relocations"];
    for (index, name) in PROGRAMS.into_iter().enumerate() {
        let values = modes.as_ref().map(|weights| weights[index].values());
        for (at, (column, kind)) in columns.iter_mut().zip(kinds).enumerate() {
            let samples: Beside<Samples> = values.map(|values| Samples::one(values[at]));
            let key = format!("protections.{name}.{kind}");
            column.add(Figure::new(key, name, Unit::Bytes, samples));
        }
    }
    let title = "Protections in images: signed returns and landing pads as instructions, and the \
        relocations of a random layout";
    Ok(Grid { title: title.to_owned(), columns: columns.into() })
}

/// Builds both programs twice, in one layout, and weighs them.
fn weigh(bench: &Bench, mode: Mode) -> Result<[Weight; 2]> {
    let order =
        Order { mode, profile: Some(Profile::Release), seed: seed::Options::default().seed()? };
    let programs = PROGRAMS
        .into_iter()
        .map(|name| bench.workspace.program(name))
        .collect::<Result<Vec<_>>>()?;
    let directory = bench.workspace.target().join("bench/protections");
    let build = |purpose, name| {
        let toolchain = bench.toolchain.clone().purpose(purpose);
        order.images(&bench.workspace, &toolchain, &programs, &directory.join(name))
    };
    let marked = build(Purpose::Use, "marked")?;
    let unmarked = build(Purpose::Unmarked, "unmarked")?;
    let size = |file: &Path| Ok::<_, anyhow::Error>(fs::metadata(file)?.len());
    let weights = marked.iter().zip(&unmarked).map(|(image, unmarked)| {
        let mut relocations = of_relocations(&fs::read(image.with_extension("elf"))?)?;
        if mode == Mode::Contained {
            relocations += of_relocations(&fs::read(image.with_extension("app.elf"))?)?;
        }
        Ok(Weight { image: size(image)?, unmarked: size(unmarked)?, relocations })
    });
    let weights = weights.collect::<Result<Vec<_>>>()?;
    weights.try_into().ok().context("not every image was built")
}

/// How large the table of relocations of a linked program is.
fn of_relocations(elf: &[u8]) -> Result<u64> {
    let file = object::File::parse(elf)?;
    let section = file.section_by_name(RELOCATIONS);
    Ok(section.with_context(|| format!("there is no {RELOCATIONS}"))?.size())
}

#[cfg(test)]
mod tests {
    use object::write::{Object, StandardSegment};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind};

    use super::*;

    #[test]
    fn relocations_are_weighed_by_their_section() {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
        assert!(of_relocations(&object.write().unwrap()).is_err());
        let segment = object.segment_name(StandardSegment::Data).to_vec();
        let kind = SectionKind::ReadOnlyData;
        let section = object.add_section(segment, RELOCATIONS.into(), kind);
        object.append_section_data(section, &[0; 24], 8);
        assert_eq!(of_relocations(&object.write().unwrap()).unwrap(), 24);
    }
}
