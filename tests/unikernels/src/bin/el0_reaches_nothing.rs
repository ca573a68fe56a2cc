//! Attacks the kernel, the machine and its own protection. Contained, it makes one attack a life:
//! each must end in a fault at the attack, and the next life makes the next one. Where the kernel is,
//! no application can know: whoever tests it looks behind the curtain, and says so on the console.
//!
//! Joined, the same code is at EL1: the attacks that the machine outlives are made one after the
//! other, and must come through. That shows that they are real.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;
use core::hint::black_box;

use elone::gate::{DeviceClass, DeviceInfo, Level, calls};
use elone::{Platform, info};

/// Where the kernel has what, on this boot: its image's header, text and data; its tables; the top of
/// its stack; RAM, and a device.
struct Kernel {
    header: u64,
    text: u64,
    data: u64,
    tables: u64,
    stack: u64,
    ram: u64,
    device: u64,
}

/// More than a stack has, and less than there is between any two things.
const A_STACK: u64 = 128 << 10;
const STACK_OF_THE_KERNEL: u64 = 32 << 12;

/// `ret`.
const RETURN: u32 = 0xd65f_03c0;
static CONSTANT: u32 = RETURN;
static mut DATA: u32 = RETURN;

/// As large as `dc zva` may need, and aligned to it.
#[repr(align(4096))]
struct Scratch(#[expect(dead_code, reason = "only its address is used")] [u8; 4096]);
static mut SCRATCH: Scratch = Scratch([0; 4096]);

/// What is done: to an address, or by an instruction.
#[derive(Clone, Copy)]
enum Attack {
    Read(u64),
    Write(u64),
    Run(u64),
    Do(fn()),
}
use Attack::{Do, Read, Run, Write};

/// Whether EL1 may do it and go on.
#[derive(Clone, Copy, PartialEq)]
enum AtEl1 {
    /// It must come through.
    Passes,
    /// It is refused there too, or would be the machine's end.
    NotTried,
}
use AtEl1::{NotTried, Passes};

type Named = (&'static str, Attack, AtEl1);

#[elone::main]
async fn main(platform: Platform) {
    let contained = platform.machine().application_at == Level::El0;
    let Some(kernel) = ask() else { panic!("nobody says where the kernel is") };
    let told = platform.machine().board.as_ptr().addr() as u64;
    let attacks = attacks(&kernel, told, contained);
    if contained {
        let life = platform.past().restarts as usize;
        if let Some(&(name, attack, _)) = attacks.get(life) {
            make(name, attack);
        } else {
            info!("all {life} attacks were made");
        }
    } else {
        attacks.iter().filter(|attack| attack.2 == Passes).for_each(|attack| {
            make(attack.0, attack.1);
        });
    }
}

/// Asks on the console where the kernel is: seven hexadecimal numbers in one line.
fn ask() -> Option<Kernel> {
    let (mut line, mut length) = ([0; 256], 0);
    info!("where is the kernel?");
    loop {
        length += calls::console_read(line.get_mut(length..)?);
        if line[..length].ends_with(b"\n") {
            break;
        }
        calls::wait(None);
    }
    let line = core::str::from_utf8(&line[..length]).ok()?;
    let mut numbers = line.split_whitespace().map_while(|word| u64::from_str_radix(word, 16).ok());
    let mut next = || numbers.next();
    Some(Kernel {
        header: next()?,
        text: next()?,
        data: next()?,
        tables: next()?,
        stack: next()?,
        ram: next()?,
        device: next()?,
    })
}

fn make(name: &str, attack: Attack) {
    let target = match attack {
        Read(address) | Write(address) | Run(address) => address,
        Do(instruction) => instruction as *const () as u64,
    };
    info!("attack {name} target {target:#x}");
    match attack {
        // SAFETY: none, here and below; these are the attacks.
        Read(address) => _ = black_box(unsafe { (address as *const u32).read_volatile() }),
        // SAFETY: as above.
        Write(address) => unsafe { (address as *mut u32).write_volatile(RETURN) },
        // SAFETY: as above.
        Run(address) => unsafe { asm!("blr {}", in(reg) address, clobber_abi("C")) },
        Do(instruction) => instruction(),
    }
    info!("SURVIVED {name}");
}

#[inline(never)]
extern "C" fn returns() {
    black_box(());
}

/// The buffers of a device: a page that it shares with the application.
fn buffers() -> u64 {
    match calls::device(DeviceClass::Net, 0) {
        Ok(DeviceInfo::Net(net)) => net.area.base().addr().get() as u64,
        _ => panic!("there is no network device"),
    }
}

fn attacks(kernel: &Kernel, told: u64, contained: bool) -> Vec<Named> {
    let heap = Box::leak(Box::new(black_box(RETURN))) as *mut u32 as u64;
    let stack = (&raw const told).addr() as u64;
    let data = (&raw const DATA).addr() as u64;
    let constant = (&raw const CONSTANT).addr() as u64;
    let code = returns as extern "C" fn() as *const () as u64;
    // The kernel's name for RAM, and text that is the kernel's: joined, they are one's own.
    let alias = if contained { kernel.ram } else { heap };
    let text = if contained { kernel.text } else { code };
    // Its stack grows down; its lowest page is hardly ever reached.
    let (kernel_stack, deepest) = (kernel.stack - 256, kernel.stack - STACK_OF_THE_KERNEL + 64);
    let (tables, kernel_data) = (kernel.tables, kernel.data);
    let mut all = alloc::vec![
        ("read-kernel-text", Read(text), Passes),
        ("write-kernel-text", Write(text), NotTried),
        ("run-kernel-text", Run(text), Passes),
        ("read-kernel-header", Read(kernel.header), NotTried),
        ("read-kernel-data", Read(kernel_data), Passes),
        ("write-kernel-data", Write(kernel_data), NotTried),
        ("run-kernel-data", Run(kernel_data), NotTried),
        ("read-kernel-tables", Read(tables), Passes),
        ("write-kernel-tables", Write(tables), NotTried),
        ("read-kernel-stack", Read(kernel_stack), Passes),
        ("write-kernel-stack", Write(deepest), Passes),
        ("run-kernel-stack", Run(kernel_stack), NotTried),
        ("read-ram-window", Read(alias), Passes),
        ("write-ram-window", Write(alias), Passes),
        ("run-ram-window", Run(alias), NotTried),
        ("read-device", Read(kernel.device), Passes),
        ("write-device", Write(kernel.device), NotTried),
        ("read-device-physical", Read(0x0900_0000), NotTried),
        ("write-device-physical", Write(0x0900_0000), NotTried),
        ("read-image-physical", Read(0x4020_0000), NotTried),
        ("run-image-physical", Run(0x4020_0000), NotTried),
        ("read-upper-start", Read(0xffff_0000_0000_0000), NotTried),
        ("read-upper-end", Read(0xffff_ffff_ffff_fffc), NotTried),
        ("run-upper-end", Run(0xffff_ffff_ffff_fffc), NotTried),
        ("read-below-upper", Read(0xfffe_ffff_ffff_fffc), NotTried),
        ("read-above-lower", Read(0x1_0000_0000_0000), NotTried),
        ("write-above-lower", Write(0x1_0000_0000_0000), NotTried),
        ("read-no-half", Read(0x8000_0000_0000_0000), NotTried),
        ("read-null", Read(0), NotTried),
        ("write-null", Write(0), NotTried),
        ("run-null", Run(0), NotTried),
    ];
    all.extend(INSTRUCTIONS);
    if contained {
        all.extend([
            ("write-own-text", Write(code), NotTried),
            ("write-own-constants", Write(constant), NotTried),
            ("run-own-constants", Run(constant), NotTried),
            ("run-own-data", Run(data), NotTried),
            ("run-own-stack", Run(stack & !3), NotTried),
            ("run-own-heap", Run(heap), NotTried),
            ("run-own-buffers", Run(buffers()), NotTried),
            ("write-what-it-is-told", Write(told & !3), NotTried),
            ("run-what-it-is-told", Run(told & !3), NotTried),
            ("read-above-the-stack", Read((stack & !3) + A_STACK), NotTried),
        ]);
    }
    all
}

macro_rules! instructions {
    ($($name:literal $at_el1:ident $($line:literal),+;)*) => {
        [$(($name, Do(|| {
            let scratch = (&raw mut SCRATCH).cast::<u8>();
            // SAFETY: none; this is the attack.
            unsafe {
                asm!(
                    $($line),+, inout("x10") scratch => _, out("x9") _,
                    out("x0") _, out("x1") _, out("x2") _, out("x3") _,
                );
            }
        }), $at_el1)),*]
    };
}

const INSTRUCTIONS: [Named; 56] = instructions! {
    "mrs-sctlr" Passes "mrs x9, sctlr_el1";
    "mrs-ttbr0" Passes "mrs x9, ttbr0_el1";
    "mrs-ttbr1" Passes "mrs x9, ttbr1_el1";
    "mrs-vbar" Passes "mrs x9, vbar_el1";
    "mrs-esr" Passes "mrs x9, esr_el1";
    "mrs-far" Passes "mrs x9, far_el1";
    "mrs-elr" Passes "mrs x9, elr_el1";
    "mrs-currentel" Passes "mrs x9, CurrentEL";
    "mrs-id" Passes "mrs x9, id_aa64pfr0_el1";
    "msr-sctlr" NotTried "msr sctlr_el1, xzr";
    "msr-ttbr0" NotTried "msr ttbr0_el1, xzr";
    "msr-ttbr1" NotTried "msr ttbr1_el1, xzr";
    "msr-tcr" NotTried "msr tcr_el1, xzr";
    "msr-mair" NotTried "msr mair_el1, xzr";
    "msr-vbar" NotTried "msr vbar_el1, xzr";
    "msr-cpacr" NotTried "msr cpacr_el1, xzr";
    "msr-elr" Passes "msr elr_el1, xzr";
    "msr-spsr" Passes "msr spsr_el1, xzr";
    "msr-far" Passes "msr far_el1, xzr";
    "msr-tpidr" Passes "msr tpidr_el1, xzr";
    "msr-mdscr" NotTried "msr mdscr_el1, xzr";
    "msr-breakpoint" NotTried "msr dbgbvr0_el1, xzr";
    "msr-cntkctl" NotTried "msr cntkctl_el1, xzr";
    "msr-pmuserenr" NotTried "msr pmuserenr_el0, xzr";
    "msr-spsel" NotTried "msr spsel, #1";
    "tlbi" Passes "tlbi vmalle1";
    "at" Passes "at s1e1r, x10";
    "ic-all" Passes "ic iallu";
    "dc-set-way" NotTried "dc isw, xzr";
    "dc-invalidate" NotTried "dc ivac, x10";
    "eret" NotTried "eret";
    "hvc" Passes "mov x0, xzr", "hvc #0";
    "smc" NotTried "mov x0, xzr", "smc #0";
    "hlt" NotTried "hlt #0xf000";
    "mrs-daif" Passes "mrs x9, daif";
    "msr-daif" Passes "msr daif, xzr";
    "msr-daifset" Passes "msr daifset, #2", "msr daifclr, #2";
    "msr-daifclr" Passes "msr daifclr, #1";
    "mrs-cntpct" Passes "mrs x9, cntpct_el0";
    "mrs-cntv-ctl" Passes "mrs x9, cntv_ctl_el0";
    "msr-cntv-ctl" Passes "msr cntv_ctl_el0, xzr";
    "msr-cntv-cval" Passes "msr cntv_cval_el0, xzr";
    "mrs-cntp-ctl" Passes "mrs x9, cntp_ctl_el0";
    "msr-cntp-tval" Passes "msr cntp_tval_el0, xzr";
    "mrs-pmccntr" Passes "mrs x9, pmccntr_el0";
    "mrs-ctr" Passes "mrs x9, ctr_el0";
    "ic-line" Passes "ic ivau, x10";
    "dc-clean" Passes "dc cvac, x10";
    "dc-zero" Passes "dc zva, x10";
    "wfi" NotTried "wfi";
    "svc-1" NotTried "svc #1";
    "brk" NotTried "brk #7";
    // A fault with registers that the kernel must not follow: a stack, and records of frames, that
    // are the kernel's own, lead in a circle, or lie nowhere.
    "sp-of-the-kernel" NotTried "mov x9, #-0x8000000000", "mov sp, x9", "udf #0";
    "record-of-the-kernel" NotTried "mov x29, #-0x8000000000", "udf #0";
    "record-of-a-circle" NotTried "mov x29, x10", "adr x9, .", "stp x29, x9, [x29]", "udf #0";
    "record-at-the-end" NotTried "mov x29, #-16", "udf #0";
};
