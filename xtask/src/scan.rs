//! `scan`: proves of a linked program that it holds no instruction which could undo what the boot
//! has set up, nothing that leads into the boot's own code, which is gone by then, and no access to
//! a device that a hypervisor could not answer.
//!
//! An instruction of AArch64 is a word at an address that is a multiple of four, so that absence
//! can be proved by looking at every word that can be run. The build does, and fails on a hit.

mod accesses;
mod allowed;
mod callers;
mod forms;
mod instructions;
mod linked;
mod loaders;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::accesses::Access;
use self::allowed::{Allowed, INSTRUCTIONS, ON_PURPOSE, Part, WAYS, Way};
use self::callers::Callers;
use self::forms::Form;
use self::instructions::{Forbidden, Reference, address, branch, forbidden};
use self::linked::Linked;
use crate::names::Names;
use crate::program_file::ProgramFile;
use crate::workspace::Workspace;

/// How many findings a failed build names.
const NAMED: usize = 20;

/// Look for instructions that could undo what the boot has set up
///
/// Looks at every word of a linked program that can be run once the machine is sealed, as each
/// build does, and at every branch and address that leads into code which is gone by then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask scan hello                            the image that was built last
  cargo xtask scan gateway-contained
  cargo xtask scan target/images/hello-contained.app.elf

Exit status: 0 if nothing is found, 1 else.")]
pub(crate) struct Arguments {
    /// A program that was built, or an image or ELF file
    #[arg(required = true, value_name = "IMAGE")]
    programs: Vec<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let mut clean = true;
    for program in &arguments.programs {
        let file = ProgramFile::find(&workspace, program)?;
        let scan = Scan::of(&file.elf)?;
        println!("{}", file.path.display());
        scan.print();
        clean &= scan.refused().is_empty();
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Refuses a linked program, called `name`, that would not keep what the boot promises.
pub(crate) fn check(name: &str, elf: &[u8]) -> Result<()> {
    let scan = Scan::of(elf)?;
    accesses::expect(scan.part, &scan.accesses)?;
    let on_purpose = scan.part != Part::Kernel && ON_PURPOSE.contains(&name);
    let refused = scan.refused();
    if refused.is_empty() || on_purpose {
        return Ok(());
    }
    let (count, lines) = (refused.len(), refused.iter().take(NAMED));
    let lines: String = lines.map(|line| format!("\n  {line}")).collect();
    bail!("{count} that must not be in it:{lines}")
}

/// The symbols of a linked program that name what starts programs.
pub(crate) fn loaders(elf: &[u8]) -> Result<Vec<String>> {
    Ok(loaders::loaders(elf)?)
}

/// Where a program accesses devices.
pub(crate) fn accesses(elf: &[u8]) -> Result<Vec<u64>> {
    let accesses = accesses::accesses(elf, &Linked::read(elf)?)?;
    Ok(accesses.into_iter().map(|access| access.address).collect())
}

/// A forbidden instruction.
#[derive(Debug)]
struct Hit {
    address: u64,
    instruction: Forbidden,
    symbol: String,
}

/// What leads into the boot's code.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lead {
    from: String,
    to: String,
}

/// What was found in a program.
#[derive(Debug)]
struct Scan {
    part: Part,
    words: usize,
    hits: Vec<Hit>,
    branches: BTreeSet<Lead>,
    /// Addresses that are made in code, or lie in memory: of functions, or of where code begins and
    /// ends. What is done with them is not known.
    addresses: BTreeSet<Lead>,
    accesses: Vec<Access>,
    /// Those of them that no hypervisor can answer, a line each.
    unanswerable: Vec<String>,
    loaders: Vec<String>,
}

impl Scan {
    fn of(elf: &[u8]) -> Result<Self> {
        Self::with(elf, &Names::read(elf)?)
    }

    fn with(elf: &[u8], names: &Names) -> Result<Self> {
        let linked = Linked::read(elf)?;
        let accesses = accesses::accesses(elf, &linked)?;
        let unanswerable = accesses.iter().filter(|access| access.form != Some(Form::Plain));
        let told = |Access { address, form }: &Access| {
            let form = form.map_or_else(|| "something else".to_owned(), |form| form.to_string());
            format!("a device access by {form} at {address:#x}, in {}", names.function(*address))
        };
        let mut scan = Self {
            part: linked.part,
            words: 0,
            hits: Vec::new(),
            branches: BTreeSet::new(),
            addresses: BTreeSet::new(),
            unanswerable: unanswerable.map(told).collect(),
            accesses,
            loaders: loaders::loaders(elf)?,
        };
        let callers = Callers::of(&linked, names);
        let lead = |from, to| Lead { from: names.at(from), to: names.at(to) };
        for (at, word) in linked.live() {
            scan.words += 1;
            if let Some(instruction) = forbidden(word) {
                let symbol = names.function(at);
                scan.hits.push(Hit { address: at, instruction, symbol });
            }
            if let Some(to) = branch(word).and_then(|distance| at.checked_add_signed(distance))
                && linked.is_init(to)
                && !callers.is_boot_only(names.start(at))
            {
                scan.branches.insert(Lead { from: names.function(at), to: names.function(to) });
            }
            let made = address(word).and_then(|reference| match reference {
                Reference::Byte(distance) => at.checked_add_signed(distance),
                Reference::Page(distance) => (at & !0xfff).checked_add_signed(distance),
            });
            if let Some(to) = made.filter(|to| linked.is_init(*to)) {
                scan.addresses.insert(lead(at, to));
            }
        }
        for (place, to) in linked.pointers().filter(|(_, to)| linked.is_init(*to)) {
            scan.addresses.insert(lead(place, to));
        }
        Ok(scan)
    }

    /// What is not to be there and nobody has allowed, a line each.
    fn refused(&self) -> Vec<String> {
        self.refused_but(INSTRUCTIONS, WAYS)
    }

    fn refused_but(&self, instructions: &[Allowed], ways: &[Way]) -> Vec<String> {
        let mut left: Vec<_> = instructions.iter().map(|allowed| allowed.count).collect();
        let mut refused = Vec::new();
        for Hit { address, instruction, symbol } in &self.hits {
            let told = instruction.to_string();
            let allowed = instructions.iter().position(|allowed| {
                (allowed.part, allowed.symbol, allowed.instruction)
                    == (self.part, symbol.as_str(), told.as_str())
            });
            match allowed {
                Some(index) if left[index] > 0 => left[index] -= 1,
                _ => refused.push(format!("{told} at {address:#x}, in {symbol}")),
            }
        }
        let strays = self.branches.iter().filter(|lead| {
            let fits = |(from, to): &Way| lead.from.starts_with(from) && lead.to.starts_with(to);
            !ways.iter().any(fits)
        });
        refused.extend(strays.map(|Lead { from, to }| {
            format!("{from} branches to {to}, which is gone once the machine is sealed")
        }));
        refused.extend(self.unanswerable.iter().cloned());
        refused.extend(self.loaders.iter().map(|name| format!("{name}: it starts programs")));
        refused
    }

    fn print(&self) {
        let Self { part, words, hits, branches, addresses, accesses, .. } = self;
        let refused = self.refused();
        let part = match part {
            Part::Joined => "kernel and application",
            Part::Kernel => "kernel",
            Part::Application => "application",
        };
        println!("  {part}: {words} words can be run once the machine is sealed");
        println!("  {} forbidden, {} found", refused.len(), hits.len() + branches.len());
        println!("  {} device accesses", accesses.len());
        refused.iter().for_each(|line| println!("  forbidden: {line}"));
        for Lead { from, to } in addresses {
            println!("  has an address in the boot's code: {from}: {to}");
        }
    }
}

#[cfg(test)]
mod tests {
    use object::elf::{PF_R, PF_X, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_PROGBITS, SHT_RELR};

    use super::*;
    use crate::made_up::{self, Part as Segment};

    const NOP: u32 = 0xd503_201f;
    const TLBI: u32 = 0xd508_871f;
    const TEXT: u64 = 0x40_0000;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().copied().flat_map(u32::to_le_bytes).collect()
    }

    /// Text alone, of these words.
    fn text(words: &[u32]) -> Vec<u8> {
        let bytes = bytes(words);
        let memory = bytes.len() as u64;
        made_up::elf(TEXT, &[Segment { flags: PF_R | PF_X, address: TEXT, bytes: &bytes, memory }])
    }

    fn refused(elf: &[u8]) -> Vec<String> {
        Scan::of(elf).unwrap().refused()
    }

    #[test]
    fn text_without_any_is_let_be() {
        let scan = Scan::of(&text(&[NOP; 100])).unwrap();
        assert_eq!((scan.words, scan.refused().len()), (100, 0));
    }

    #[test]
    fn each_is_found_wherever_it_stands() {
        let words = [0xd518_1000, 0xd518_2000, 0xd518_2020, 0xd518_2040, 0xd518_a200, 0xd518_c000];
        let more = [0xd518_1040, 0xd518_2100, 0xd538_2100, TLBI, 0xd51d_1000, 0xd51c_1100];
        for word in [&words[..], &more].concat() {
            for at in [0, 1, 49, 99] {
                let mut program = [NOP; 100];
                program[at] = word;
                let refused = refused(&text(&program));
                let address = format!("{:#x}", TEXT + 4 * at as u64);
                assert!(refused.len() == 1 && refused[0].contains(&address), "{refused:?}");
            }
        }
    }

    /// `ldr x0, .+8; ret`, and a number that would be run by a jump to it.
    #[test]
    fn a_number_among_the_code_that_could_be_run_is_refused() {
        let refused = refused(&text(&[0x5800_0040, 0xd65f_03c0, 0xd518_1000, 0]));
        assert_eq!(refused, ["msr SCTLR_EL1, x0 at 0x400008, in nothing that has a name"]);
    }

    #[test]
    fn what_cannot_be_run_may_look_like_anything() {
        let bytes = bytes(&[TLBI]);
        let data = Segment { flags: PF_R, address: TEXT, bytes: &bytes, memory: 4 };
        assert_eq!(Scan::of(&made_up::elf(TEXT, &[data])).unwrap().words, 0);
    }

    #[test]
    fn text_that_is_not_in_the_file_or_not_in_words_is_refused() {
        let bytes = bytes(&[NOP]);
        let whole = Segment { flags: PF_X, address: TEXT, bytes: &bytes, memory: 4 };
        assert!(Scan::of(&made_up::elf(TEXT, &[whole])).is_ok());
        for wrong in [Segment { memory: 8, ..whole }, Segment { address: TEXT + 2, ..whole }] {
            assert!(Scan::of(&made_up::elf(TEXT, &[wrong])).is_err());
        }
        assert!(Scan::of(b"not an ELF file").is_err());
    }

    /// `.init`, then `.text`, four words each; and a datum with an address that is moved, `RELR`'s
    /// list of it behind.
    fn sealed(init: [u32; 4], live: [u32; 4], pointer: u64) -> Vec<u8> {
        let code = bytes(&[init, live].concat());
        let data = [pointer.to_le_bytes(), (TEXT + 0x1000).to_le_bytes()].concat();
        let part = |flags, address, bytes, memory| Segment { flags, address, bytes, memory };
        let segments =
            [part(PF_R | PF_X, TEXT, &code[..], 32), part(PF_R, TEXT + 0x1000, &data[..], 16)];
        let file = made_up::elf(TEXT, &segments);
        let (code, data) = (64 + 2 * 56, 64 + 2 * 56 + 32);
        let text = SHF_ALLOC | SHF_EXECINSTR;
        made_up::with_sections(
            file,
            &[
                (".init", SHT_PROGBITS, text, TEXT, code..code + 16),
                (".text", SHT_PROGBITS, text, TEXT + 16, code + 16..code + 32),
                (".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, TEXT + 0x1000, data..data + 8),
                (".relr.dyn", SHT_RELR, SHF_ALLOC, TEXT + 0x1008, data + 8..data + 16),
            ],
        )
    }

    #[test]
    fn what_is_unmapped_may_hold_anything_and_nothing_may_lead_there() {
        let nops = [NOP; 4];
        assert_eq!(refused(&sealed([TLBI; 4], nops, TEXT + 16)), [""; 0]);
        assert_eq!(refused(&sealed(nops, [NOP, TLBI, NOP, NOP], 0)).len(), 1);
        // The last word of the text: a call by five words back, and one to itself.
        let stray = refused(&sealed(nops, [NOP, NOP, NOP, 0x97ff_fffb], 0));
        let expected = ".text branches to .init, which is gone once the machine is sealed";
        assert_eq!(stray, [expected]);
        assert_eq!(refused(&sealed(nops, [NOP, NOP, NOP, 0x9400_0000], 0)), [""; 0]);
        // A branch from there to here is the boot's way on.
        assert_eq!(refused(&sealed([0x1400_0004; 4], nops, 0)), [""; 0]);
    }

    /// `.text` of three functions: `first` (two words), `second`, `third`; `.init` in front of them.
    fn strays(init: [u32; 4], live: [u32; 4], pointer: u64) -> usize {
        let elf = sealed(init, live, pointer);
        let function = |index: u64, name: &str| (TEXT + 16 + 4 * index, 4, name.to_owned());
        let symbols = vec![function(0, "first"), function(2, "second"), function(3, "third")];
        let names = Names::made_up(symbols, vec![(TEXT, 16, ".init".to_owned())]);
        Scan::with(&elf, &names).unwrap().branches.len()
    }

    #[test]
    fn what_only_the_boot_calls_may_call_it() {
        let [nops, bl] = [[NOP; 4], [0x9400_0004, NOP, NOP, NOP]]; // .init: bl first
        let back = [0x97ff_fffc, NOP, NOP, NOP]; // first: bl .init
        assert_eq!(strays(bl, back, 0), 0, "the boot calls it, and no one else");
        assert_eq!(strays(nops, back, 0), 1, "no one is known to call it");
        assert_eq!(strays(bl, back, TEXT + 16), 1, "its address is somewhere");
        let third = [0x97ff_fffc, NOP, NOP, 0x97ff_fffd]; // third: bl first
        assert_eq!(strays(bl, third, 0), 1, "the third calls it, whom the boot does not");
        let both = [0x9400_0004, 0x9400_0006, NOP, NOP]; // .init: bl first; bl third
        assert_eq!(strays(both, third, 0), 0, "the third is the boot's too");
        let adrp = [0x9000_0000, 0x9100_4001, NOP, NOP]; // .init: adrp x0; add x1, x0, #16
        let taken = [0x9400_0004, adrp[0], adrp[1], NOP];
        assert_eq!(strays(taken, back, 0), 1, "the boot has its address");
        let add = 0x9100_07e0; // add x0, sp, #1
        let other = [0x9400_0004, adrp[0], add, adrp[1]];
        assert_eq!(strays(other, back, 0), 0, "sixteen more than something else");
        let branch = [adrp[0], 0x9400_0003, add, adrp[1]];
        assert_eq!(strays(branch, back, 0), 1, "where the branch leads the page may be meant");
    }

    #[test]
    fn addresses_of_what_will_be_gone_are_listed() {
        let nops = [NOP; 4];
        let listed = |elf: &[u8]| {
            let scan = Scan::of(elf).unwrap();
            scan.addresses.into_iter().map(|lead| (lead.from, lead.to)).collect::<Vec<_>>()
        };
        let lead = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(listed(&sealed(nops, nops, TEXT + 4)), [lead(".data", ".init+0x4")]);
        assert_eq!(listed(&sealed(nops, nops, TEXT + 16)), []);
        let made = listed(&sealed(nops, [0x9000_0000, NOP, NOP, NOP], 0)); // adrp x0, .
        assert_eq!(made, [lead(".text", ".init")]);
    }

    #[test]
    fn what_is_allowed_is_so_there_and_that_often() {
        let here = "nothing that has a name";
        let one =
            Allowed { part: Part::Joined, symbol: here, instruction: "tlbi vmalle1", count: 1 };
        let refused = |words: &[u32], allowed: Allowed| {
            Scan::of(&text(words)).unwrap().refused_but(&[allowed], &[]).len()
        };
        assert_eq!(refused(&[TLBI, NOP], one), 0);
        assert_eq!(refused(&[TLBI, TLBI], one), 1);
        assert_eq!(refused(&[TLBI], Allowed { part: Part::Kernel, ..one }), 1);
        assert_eq!(refused(&[TLBI], Allowed { symbol: "elsewhere", ..one }), 1);
        assert_eq!(refused(&[0xd508_831f], one), 1);
        let way = [(".text", ".init")];
        let stray = sealed([NOP; 4], [NOP, NOP, NOP, 0x97ff_fffb], 0);
        assert_eq!(Scan::of(&stray).unwrap().refused_but(&[], &way), [""; 0]);
    }
}
