//! What a linked program asks of its start: nothing, or addresses in the compact form (RELR).

use anyhow::{Context, Result, bail};
use object::elf::{FileHeader64, PT_INTERP, R_AARCH64_RELATIVE, SHF_ALLOC};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader, Rela, SectionHeader};

use crate::names::Names;

/// How many relocations a refusal names.
const NAMED: usize = 20;

/// Refuses a program that asks for more: each relocation is named by what it lies in.
pub(super) fn check(elf: &[u8]) -> Result<()> {
    let little = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(elf).context("the linker's output")?;
    let segments = header.program_headers(little, elf)?;
    if segments.iter().any(|segment| segment.p_type(little) == PT_INTERP) {
        bail!("it asks for an interpreter, and there is none");
    }
    let sections = header.sections(little, elf)?;
    let (mut found, mut count) = (Vec::new(), 0);
    for section in sections.iter() {
        if section.sh_flags(little) & u64::from(SHF_ALLOC) == 0 || section.sh_size(little) == 0 {
            continue;
        }
        if section.rel(little, elf)?.is_some_and(|(entries, _)| !entries.is_empty()) {
            bail!("it has relocations without addends");
        }
        let Some((entries, _)) = section.rela(little, elf)? else { continue };
        for entry in entries {
            count += 1;
            let (offset, kind) = (entry.r_offset(little), entry.r_type(little, false));
            found.push((offset, kind));
        }
    }
    if count == 0 {
        return Ok(());
    }
    let names = Names::read(elf)?;
    let told = found.iter().take(NAMED).map(|&(offset, kind)| {
        let kind = match kind {
            R_AARCH64_RELATIVE => "an address at an odd place".to_owned(),
            other => format!("relocation type {other}"),
        };
        format!("\n  {offset:#x}, in {}: {kind}", names.at(offset))
    });
    bail!("{count} relocations that a start does not know{}", told.collect::<String>())
}

#[cfg(test)]
mod tests {
    use object::elf::{PF_R, SHT_PROGBITS, SHT_RELA, SHT_RELR};

    use super::*;
    use crate::made_up::{self, Part};

    /// A datum, and a relocation of this type at an odd place in it.
    fn program(section: u32, kind: u32) -> Vec<u8> {
        let entry = [0x1001, u64::from(kind), 0].map(u64::to_le_bytes).concat();
        let bytes = [&[0; 16][..], &entry].concat();
        let part = Part { flags: PF_R, address: 0x1000, bytes: &bytes, memory: 40 };
        let file = made_up::elf(0, &[part]);
        let sections = [
            (".data", SHT_PROGBITS, SHF_ALLOC, 0x1000, 120..136),
            (".rela.dyn", section, SHF_ALLOC, 0x1010, 136..160),
        ];
        made_up::with_sections(file, &sections)
    }

    #[test]
    fn relocations_that_a_start_does_not_know_are_named() {
        let refused = |kind| check(&program(SHT_RELA, kind)).unwrap_err().to_string();
        let odd = refused(R_AARCH64_RELATIVE);
        let expected = "1 relocations that a start does not know\
            \n  0x1001, in .data+0x1: an address at an odd place";
        assert_eq!(odd, expected);
        assert!(refused(object::elf::R_AARCH64_GLOB_DAT).contains("relocation type 1025"));
    }

    #[test]
    fn the_compact_form_is_known() {
        assert!(check(&program(SHT_RELR, 0)).is_ok());
        assert!(check(&made_up::elf(0, &[])).is_ok());
    }

    #[test]
    fn nobody_interprets_a_program() {
        let mut file =
            made_up::elf(0, &[Part { flags: PF_R, address: 0, bytes: b"ld", memory: 2 }]);
        file[64..68].copy_from_slice(&PT_INTERP.to_le_bytes());
        assert!(check(&file).unwrap_err().to_string().contains("interpreter"));
    }
}
