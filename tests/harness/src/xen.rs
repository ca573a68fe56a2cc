//! Machines with Xen at EL2 and the image as a domain of it: what has to be loaded where, and the
//! device tree that says so (Xen 4.17, `docs/misc/arm/device-tree/booting.txt`).
//!
//! Xen boots where an image else does, as `-kernel`. The image is one of its modules. Xen learns of it
//! from nodes in `/chosen` of the tree that the emulator makes for the machine, so that is asked for
//! first, and grows by these nodes. The memory of such a machine is what was asked for, for the image,
//! and some more for Xen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use vm_fdt::{FdtWriter, FdtWriterResult as FdtResult};

use crate::graft::{node, with_chosen};
use crate::spawn::spawn;
use crate::{Board, HandOver};

mod console;

pub(crate) use console::{Asked, Lines};

/// As what the image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// A guest that Xen makes at boot: it has memory, a UART, a timer, and nothing else.
    Guest,
    /// The one that has the machine's devices.
    Hardware,
}

impl Domain {
    /// That of the board's machines, if there is Xen on them.
    pub(crate) fn of(board: &Board) -> Option<Self> {
        match board.hand_over {
            HandOver::XenGuest => Some(Self::Guest),
            HandOver::XenHardware => Some(Self::Hardware),
            _ => None,
        }
    }
}

/// What Xen has, in MiB, besides the image's memory.
const SHARE: u32 = 128;
/// Where the `virt` machine's RAM begins.
const RAM: u64 = 0x4000_0000;
/// The emulator puts the tree in the middle of RAM, or so far from its start if that is less; the
/// image comes after it.
const TREE: u64 = 128 << 20;
const AFTER_TREE: u64 = 32 << 20;
/// Where Xen says what it does, in the way that it starts fastest: memory is not overwritten first.
const OPTIONS: &str = "console=dtuart dtuart=/pl011@9000000 bootscrub=0";

/// What the image is handed over with.
pub(crate) struct Module<'a> {
    pub(crate) domain: Domain,
    pub(crate) image: &'a Path,
    pub(crate) settings: &'a str,
    /// The domain's memory, in MiB.
    pub(crate) memory: u32,
}

impl Module<'_> {
    /// The memory of the machine, in MiB.
    pub(crate) fn of_machine(&self) -> u32 {
        self.memory.saturating_add(SHARE)
    }

    /// Where the image is loaded.
    pub(crate) fn address(&self) -> u64 {
        let middle = u64::from(self.of_machine()) << 19;
        RAM + middle.min(TREE) + AFTER_TREE
    }

    /// Writes the device tree for Xen to a file in `directory`; `emulator` makes the machine's own.
    pub(crate) fn write_tree(&self, board: &Board, cpu: &str, directory: &Path) -> Result<PathBuf> {
        let plain = directory.join("machine.dtb");
        let machine = format!("{},dumpdtb={}", board.machine, plain.display());
        let mut emulator = Command::new(&board.emulator);
        emulator.args(["-nodefaults", "-display", "none", "-machine", &machine, "-cpu", cpu]);
        emulator.args(["-m", &format!("{}M", self.of_machine())]).args(&board.arguments);
        emulator.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let said = spawn(&mut emulator)?.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&said.stderr);
        let tree = fs::read(&plain);
        let tree = tree.with_context(|| format!("the emulator wrote no tree: {complaint}"))?;
        let length = fs::metadata(self.image)
            .with_context(|| format!("reading {}", self.image.display()))?
            .len();
        ensure!(length > 0, "{} is empty", self.image.display());
        let file = directory.join("xen.dtb");
        fs::write(&file, with_chosen(&tree, |fdt| self.describe(fdt, length))?)?;
        Ok(file)
    }

    fn describe(&self, fdt: &mut FdtWriter, length: u64) -> FdtResult<()> {
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;
        match self.domain {
            Domain::Hardware => {
                let options = format!("{OPTIONS} dom0_mem={}M", self.memory);
                fdt.property_string("xen,xen-bootargs", &options)?;
                self.module(fdt, length)
            }
            Domain::Guest => {
                fdt.property_string("xen,xen-bootargs", OPTIONS)?;
                node(fdt, "domU1", |fdt| {
                    fdt.property_string("compatible", "xen,domain")?;
                    fdt.property_u32("#address-cells", 2)?;
                    fdt.property_u32("#size-cells", 2)?;
                    fdt.property_u32("cpus", 1)?;
                    fdt.property_u64("memory", u64::from(self.memory) << 10)?; // in KiB
                    fdt.property_null("vpl011")?;
                    self.module(fdt, length)
                })
            }
        }
    }

    fn module(&self, fdt: &mut FdtWriter, length: u64) -> FdtResult<()> {
        let address = self.address();
        node(fdt, &format!("module@{address:x}"), |fdt| {
            let names = ["multiboot,kernel", "multiboot,module"].map(str::to_owned);
            fdt.property_string_list("compatible", names.to_vec())?;
            fdt.property_array_u64("reg", &[address, length])?;
            match self.settings {
                "" => Ok(()),
                settings => fdt.property_string("bootargs", settings),
            }
        })
    }
}
