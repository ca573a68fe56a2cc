//! Rows 2, 11, 12 and 13: what is set up at boot stays set, page tables among it, and nothing is
//! left that could undo it. From EL1, where no level stands between attacker and kernel.
#![expect(unsafe_code, reason = "overwrites what is read-only")]

use alloc::boxed::Box;
use alloc::format;
use core::arch::asm;
use core::hint::black_box;
use core::mem;

use crate::code::{self, ANSWER, INJECTED, SAY_ANSWER};
use crate::scene::{self, Attack, Outcome, Scene};
use crate::tables::{self, Mapping, NOT_EXECUTABLE, READ_ONLY, Tables};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("find-writable-name-of-code", writable_code),
    ("find-writable-name-of-constants", writable_constants),
    ("overwrite-vtable", overwrite_vtable),
    ("overwrite-sealed-variable", overwrite_sealed),
    ("map-code-writable", map_code_writable),
    ("map-data-executable", map_data_executable),
    ("find-writable-name-of-tables", writable_tables),
    ("find-instructions-that-undo", find_instructions),
    ("call-boot-code", call_boot),
];

trait Says {
    fn says(&self) -> u32;
}

struct Seven(u32);
impl Says for Seven {
    #[inline(never)]
    fn says(&self) -> u32 {
        black_box(self.0)
    }
}

struct Answer(u32);
impl Says for Answer {
    #[inline(never)]
    fn says(&self) -> u32 {
        black_box(ANSWER + self.0 / 8)
    }
}

static CONSTANT: [u32; 2] = [7, 8];
const NO_TABLES: Outcome = Outcome::NotMade("it does not find the tables by app.offset=");

/// Has: the tables, to read. Wants: a second name for code, by which it can be written.
fn writable_code(scene: &Scene) -> Outcome {
    let Some(tables) = Tables::find(scene) else { return NO_TABLES };
    let target = match writable(&tables, tables::physical(code::seven())) {
        Ok(target) => target,
        Err(none) => return none,
    };
    scene::target(target);
    code::store(target, SAY_ANSWER);
    code::publish(scene, code::seven());
    if code::attack_seven() == ANSWER { Outcome::Survived } else { kept() }
}

/// Has: the tables, to read. Wants: a second name for constants, by which they can be written.
fn writable_constants(scene: &Scene) -> Outcome {
    let Some(tables) = Tables::find(scene) else { return NO_TABLES };
    let constant = black_box(&CONSTANT).as_ptr();
    let target = match writable(&tables, tables::physical(constant.addr())) {
        Ok(target) => target,
        Err(none) => return none,
    };
    scene::target(target);
    code::store(target, ANSWER);
    if code::load(constant.addr()) == ANSWER { Outcome::Survived } else { kept() }
}

/// Has: the tables, to read. Wants: a name for the tables by which they can be written.
fn writable_tables(scene: &Scene) -> Outcome {
    let Some(tables) = Tables::find(scene) else { return NO_TABLES };
    // An entry of the root's that is not used: the very last one. Even numbers map nothing.
    const LAST: usize = 511 * 8;
    let target = match writable(&tables, tables.root() + LAST) {
        Ok(target) => target,
        Err(none) => return none,
    };
    scene::target(target);
    code::store(target, ANSWER);
    let changed = code::load(target) == ANSWER;
    code::store(target, 0);
    if changed { Outcome::Survived } else { kept() }
}

/// A name of the physical `address` by which it can be written.
fn writable(tables: &Tables, address: usize) -> Result<usize, Outcome> {
    let (mut found, mut count) = (None, 0);
    tables.each(&mut |mapping: Mapping| {
        count += 1;
        let seen = mapping.sees(address).filter(|_| mapping.is_writable());
        found = found.or(seen);
    });
    found.ok_or_else(|| Outcome::Stopped(format!("none of {count} mappings")))
}

/// Has: a store to any address. Wants: every object of a type to be of another type from now on, by
/// its table of methods, which is a constant that was relocated at the start.
fn overwrite_vtable(_: &Scene) -> Outcome {
    const METHOD: usize = 3; // after drop, size and alignment
    let (seven, other): (&dyn Says, &dyn Says) = (black_box(&Seven(7)), black_box(&Answer(7)));
    // SAFETY: what a reference to such an object is made of today: the object, and its table.
    let [_, table] = unsafe { mem::transmute::<&dyn Says, [usize; 2]>(seven) };
    // SAFETY: as above.
    let [_, others] = unsafe { mem::transmute::<&dyn Says, [usize; 2]>(other) };
    let (target, from) = (table + METHOD * 8, others + METHOD * 8);
    scene::target(target);
    // SAFETY: reads a constant.
    let method = unsafe { (from as *const usize).read_volatile() };
    // SAFETY: none, on purpose: a constant is overwritten.
    unsafe { (target as *mut usize).write_volatile(method) };
    if black_box(seven).says() == ANSWER { Outcome::Survived } else { kept() }
}

/// Has: a store to any address. Wants: another value in a variable that only the boot writes.
fn overwrite_sealed(scene: &Scene) -> Outcome {
    let Some(target) = scene.target() else { return NO_TABLES };
    scene::target(target);
    let value = code::load(target);
    code::store(target, !value);
    let changed = code::load(target) == !value;
    code::store(target, value);
    if changed { Outcome::Survived } else { kept() }
}

/// Has: a store to any address, and what the tables hold. Wants: one more entry, which maps code to
/// be written. A new entry takes no instruction to be seen.
fn map_code_writable(scene: &Scene) -> Outcome {
    let place = code::seven();
    let Some((page, seen, target)) = Tables::find(scene).and_then(|t| t.page_and_gap(place)) else {
        return NO_TABLES;
    };
    scene::target(target);
    write(target, page.entry & !READ_ONLY | NOT_EXECUTABLE);
    code::store(seen | place & 0xfff, SAY_ANSWER);
    code::publish(scene, place);
    if code::attack_seven() == ANSWER { Outcome::Survived } else { kept() }
}

/// Has: a store to any address, and what the tables hold. Wants: one more entry, which maps code of
/// his own, in the heap, to be run.
fn map_data_executable(scene: &Scene) -> Outcome {
    let near = code::seven();
    let Some((page, seen, target)) = Tables::find(scene).and_then(|t| t.page_and_gap(near)) else {
        return NO_TABLES;
    };
    let code = Box::new(black_box(INJECTED));
    let address = tables::physical(code.as_ptr().addr());
    code::publish(scene, code.as_ptr().addr());
    scene::target(target);
    write(target, page.entry & !0x0000_ffff_ffff_f000 | (address & !0xfff) as u64);
    if code::call(seen | address & 0xfff) == ANSWER { Outcome::Survived } else { kept() }
}

/// Writes an entry of a table.
fn write(place: usize, entry: u64) {
    // SAFETY: none, on purpose: the tables are the kernel's.
    unsafe { (place as *mut u64).write_volatile(entry) };
    tables::settle();
}

/// Has: everything that can be run, to read. Wants: an instruction that says how memory is
/// translated, or that has the core forget what it knows of it; and calls one.
fn find_instructions(scene: &Scene) -> Outcome {
    let Some(tables) = Tables::find(scene) else { return NO_TABLES };
    let (mut pages, mut hits, mut function) = (0, 0, None);
    tables.each(&mut |mapping: Mapping| {
        if !mapping.is_executable() {
            return;
        }
        pages += mapping.size / 4096;
        for place in (mapping.seen..mapping.seen + mapping.size).step_by(4) {
            if undoes(code::load(place)) {
                hits += 1;
                function = function.or_else(|| around(mapping, place));
            }
        }
    });
    match (hits, function) {
        (0, _) => Outcome::Stopped(format!("none in {pages} pages of code")),
        (_, None) => Outcome::Stopped(format!("{hits}, in no function that returns")),
        (_, Some(target)) => {
            scene::target(target);
            code::call(target);
            Outcome::Survived
        }
    }
}

/// Whether an instruction is `msr` to SCTLR, CPACR, TTBR0, TTBR1, TCR, MAIR or VBAR, or any `tlbi`
/// (Arm ARM, section C5.3).
fn undoes(word: u32) -> bool {
    const REGISTERS: [u32; 7] = [
        0xd518_1000, // sctlr_el1
        0xd518_1040, // cpacr_el1
        0xd518_2000, // ttbr0_el1
        0xd518_2020, // ttbr1_el1
        0xd518_2040, // tcr_el1
        0xd518_a200, // mair_el1
        0xd518_c000, // vbar_el1
    ];
    REGISTERS.contains(&(word & !0x1f)) || word & 0xfff8_f000 == 0xd508_8000
}

/// The short function around a place that does nothing but that: its beginning, a few instructions
/// before, if it returns a few instructions after.
fn around(mapping: Mapping, place: usize) -> Option<usize> {
    const PACIASP: u32 = 0xd503_233f;
    const RETURN: u32 = 0xd65f_03c0;
    let within = mapping.seen..mapping.seen + mapping.size;
    let is = |at: &usize, word| within.contains(at) && code::load(*at) == word;
    let start = (1..=6).map(|back| place - back * 4).find(|at| is(at, PACIASP))?;
    (1..=8).map(|on| place + on * 4).find(|at| is(at, RETURN))?;
    Some(start)
}

/// Has: a jump to any address. Wants: code to be run that only the boot needs: what fills in page
/// tables, asked to fill in none.
fn call_boot(scene: &Scene) -> Outcome {
    let Some(target) = scene.target() else { return NO_TABLES };
    scene::target(target);
    // SAFETY: none, on purpose; where it is there, it keeps the registers that a function keeps.
    unsafe {
        asm!("blr {}", in(reg) target, in("x0") 0, in("x1") 0, clobber_abi("C"));
    }
    Outcome::Survived
}

fn kept() -> Outcome {
    Outcome::Stopped("memory that keeps its value".into())
}
