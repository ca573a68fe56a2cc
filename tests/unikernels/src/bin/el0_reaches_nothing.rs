//! Attacks the kernel, the machine and its own protection. Contained, it makes one attack a life:
//! each must end in a fault at the attack, and the next life makes the next one. `app.end=`
//! (hexadecimal) is where the kernel's image ends, the top of its stack.
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

/// Where the kernel's image is linked, what it sees of devices, and of RAM.
const IMAGE: u64 = 0xffff_ff80_0000_0000;
const DEVICES: u64 = 0xffff_ff80_4000_0000;
const RAM: u64 = 0xffff_ffc0_0000_0000;
/// Where a contained application has its heap, in the order of RAM; what it is told; its stack's end.
const HEAP: u64 = 0x40_0000_0000;
const TOLD: u64 = 0x1_0000_0000;
const STACK_END: u64 = 0x2_0000_0000;

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
    let end = platform.setting("end").and_then(|end| u64::from_str_radix(end, 16).ok());
    let attacks = attacks(end.unwrap_or(IMAGE + (1 << 20)), contained);
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

fn attacks(end: u64, contained: bool) -> Vec<Named> {
    let heap = Box::leak(Box::new(black_box(RETURN))) as *mut u32 as u64;
    let stack = (&raw const end).addr() as u64;
    let data = (&raw const DATA).addr() as u64;
    let constant = (&raw const CONSTANT).addr() as u64;
    let code = returns as extern "C" fn() as *const () as u64;
    // The kernel's name for the heap, and text that is the kernel's: joined, they are one's own.
    let alias = if contained { heap - HEAP + RAM } else { heap };
    let text = if contained { IMAGE + 0x1000 } else { code };
    // The kernel's stack grows down from the image's end; its lowest page is hardly ever reached.
    let (kernel_stack, deepest) = (end - 256, end - (32 << 12) + 64);
    // Below that are the other stacks with their guards, and below them the tables.
    let (tables, kernel_data) = (end - (41 << 12) - 4096, end - (81 << 12) - 64);
    let mut all = alloc::vec![
        ("read-kernel-text", Read(text), Passes),
        ("write-kernel-text", Write(text), NotTried),
        ("run-kernel-text", Run(text), Passes),
        ("read-kernel-header", Read(IMAGE), Passes),
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
        ("read-device", Read(DEVICES), Passes),
        ("write-device", Write(DEVICES), NotTried),
        ("read-device-physical", Read(0x0900_0000), NotTried),
        ("write-device-physical", Write(0x0900_0000), NotTried),
        ("read-image-physical", Read(0x4020_0000), NotTried),
        ("run-image-physical", Run(0x4020_0000), NotTried),
        ("read-upper-start", Read(0xffff_ff80_0000_0000), Passes),
        ("read-upper-end", Read(0xffff_ffff_ffff_fffc), NotTried),
        ("run-upper-end", Run(0xffff_ffff_ffff_fffc), NotTried),
        ("read-below-upper", Read(0xffff_ff7f_ffff_fffc), NotTried),
        ("read-above-lower", Read(0x80_0000_0000), NotTried),
        ("write-above-lower", Write(0x80_0000_0000), NotTried),
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
            ("write-what-it-is-told", Write(TOLD), NotTried),
            ("run-what-it-is-told", Run(TOLD), NotTried),
            ("read-above-the-stack", Read(STACK_END), NotTried),
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
