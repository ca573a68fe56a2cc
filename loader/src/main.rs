//! The program: an application of UEFI firmware, `\EFI\BOOT\BOOTAA64.EFI` on the volume of an image.
//!
//! Firmware of this kind starts nothing but such applications. This one reads `\elone.img` and, if
//! there is one, `\elone.txt` with settings, and hands the machine over as the Linux arm64 boot
//! protocol has it. Whatever is in the way is told on firmware's console, in words that begin with
//! `elone-loader:`, and firmware then goes on to whatever else it could boot.
#![cfg_attr(target_os = "uefi", no_std, no_main)]

extern crate alloc;

#[cfg(target_os = "uefi")]
mod firmware;

#[cfg(not(target_os = "uefi"))]
fn main() -> std::process::ExitCode {
    eprintln!("this runs on UEFI firmware: cargo xtask loader builds it for that");
    std::process::ExitCode::from(2)
}
