//! Fails several calls deep, as the setting `app.how=` says: by a write to where nothing is mapped,
//! or by a panic. The report must lead back to the lines below, through what was inlined and what
//! was not; a debugger must be able to stop on the way.
//!
//! The number behind `line` in a comment is the place in the backtrace, innermost first, and then
//! comes the function. The test reads that here.
#![no_std]
#![no_main]

use core::hint::black_box;

use elone::{Platform, info};

/// What is asked for, and handed down to where it is done.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Write,
    Panic,
    NotAtAll,
}

#[elone::main]
async fn main(platform: Platform) {
    let how = match platform.setting("how") {
        Some("write") => How::Write,
        Some("panic") => How::Panic,
        _ => How::NotAtAll,
    };
    let sum = outermost(how, black_box(40)); // line 5: main
    info!("SURVIVED {sum}");
}

// What follows a call keeps it from being the caller's last act, which would be a jump instead.

#[inline(never)]
fn outermost(how: How, depth: u64) -> u64 {
    let sum = inlined_between(how, depth + 1); // line 4: outermost
    black_box(sum) + 1
}

#[inline(always)]
fn inlined_between(how: How, depth: u64) -> u64 {
    let sum = below(how, depth + 1); // line 3: inlined_between (inlined)
    black_box(sum) + 1
}

#[inline(never)]
fn below(how: How, depth: u64) -> u64 {
    let sum = inlined_within(how, depth); // line 2: below
    black_box(sum) + 1
}

#[inline(always)]
fn inlined_within(how: How, depth: u64) -> u64 {
    let address = black_box(0x10 * depth as usize);
    fails(how, address); // line 1: inlined_within (inlined)
    black_box(depth) + 1
}

#[inline(never)]
fn fails(how: How, address: usize) {
    if black_box(how) == How::NotAtAll {
        return;
    }
    if how == How::Panic {
        panic!("at {address}, as asked for"); // line 0 of a panic: fails
    }
    let place: *mut u64 = core::ptr::without_provenance_mut(address);
    // SAFETY: none; nothing is mapped so low, so this must be refused.
    unsafe { place.write_volatile(7) }; // line 0 of a write: fails
    black_box(place);
}
