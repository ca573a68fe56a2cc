//! What an arm64 Linux host with KVM is made of: a kernel, and an initramfs that holds all the rest.
//!
//! Elone is meant to run under KVM on an edge box, and is developed on machines that are none. So the
//! edge box is emulated, with EL2: Linux enters there, its KVM comes up, and Debian's own arm64 QEMU
//! inside runs guests with it. What the emulator does not have is exactly what this is for: a
//! hypervisor that traps, injects interrupts, and decodes the accesses of a guest.
//!
//! The parts are Debian's packages, fetched by this machine's own `apt-get` with lists and a cache
//! that lie in a directory of ours, and only unpacked: nothing is installed and no arm64 program runs
//! here. What cannot be had is [`Unavailable`], which is no failure of anything under test.
//!
//! The host takes commands at a TCP port ([`shell`]); what runs it, and what is run on it, is the
//! harness's.

mod archive;
mod firmware;
mod initramfs;
mod libraries;
mod modules;
mod packages;
pub mod shell;
mod trees;
mod xen;

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub use crate::firmware::{Firmware, firmware};
use crate::packages::{Apt, Set, With};
pub use crate::trees::tree;
pub use crate::xen::xen;

/// Something of the host cannot be had on this machine; the text says what, and why.
#[derive(Clone, Debug)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// The line that a host says on its console once it takes commands; without KVM it says another.
pub const READY: &str = "edge: ready";
/// The line that a host says whose kernel has no KVM.
pub const WITHOUT_KVM: &str = "edge: there is no /dev/kvm";
/// What the host's kernel is told. A host that panics ends, so that it is noticed at once.
pub const KERNEL_ARGUMENTS: &str = "console=ttyAMA0 panic=-1 quiet loglevel=1";

const BUSYBOX: Set =
    Set { name: "busybox", packages: &["busybox-static"], with: With::NothingElse };
const QEMU: Set = Set { name: "qemu", packages: &["qemu-system-arm"], with: With::WhatItDependsOn };
/// The newest kernel, without drivers for hardware that no virtual machine has: it boots sooner.
const KERNEL: &str = "linux-image-cloud-arm64";

/// The programs of a host.
const EMULATOR: &str = "/usr/bin/qemu-system-aarch64";
/// The modules that a host's kernel loads, besides those that they depend on: its own network
/// interface, and what guests are connected to a network by.
const MODULES: [&str; 4] = ["virtio_mmio", "virtio_net", "tun", "bridge"];

/// The files that a host boots from.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The kernel, by the Linux arm64 boot protocol.
    pub kernel: PathBuf,
    busybox: PathBuf,
    qemu: PathBuf,
    modules: PathBuf,
}

impl Parts {
    /// Has all that a host needs in the directory `cache`: fetched the first time, which is said on
    /// standard error; from then on nobody is asked.
    ///
    /// # Errors
    /// [`Unavailable`] where packages for Debian arm64 cannot be had; else what failed.
    pub fn gather(cache: &Path) -> Result<Self> {
        fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
        // Two runs at a time fetch once; given back by the system when this process ends.
        let lock = File::create(cache.join("lock"))?;
        lock.lock()?;
        let mut apt = Apt::at(cache);
        let busybox = apt.unpacked(&BUSYBOX)?;
        let qemu = apt.unpacked(&QEMU)?;
        let kernel = apt.kernel(KERNEL)?;
        let versions = kernel.join("lib/modules");
        // From Debian 13 on packages have the place that `lib` is a link to.
        let versions = if versions.is_dir() { versions } else { kernel.join("usr/lib/modules") };
        let entry = fs::read_dir(&versions)
            .with_context(|| format!("reading {}", versions.display()))?
            .next()
            .context("the kernel has no modules")??;
        let version = entry.file_name().to_string_lossy().into_owned();
        Ok(Self {
            kernel: kernel.join(format!("boot/vmlinuz-{version}")),
            busybox,
            qemu,
            modules: entry.path(),
        })
    }

    /// Writes the initramfs to `file`.
    ///
    /// # Errors
    /// A part is not where it belongs, or a file cannot be read or written.
    pub fn write_initramfs(&self, file: &Path) -> Result<()> {
        initramfs::write(self, file).with_context(|| format!("writing {}", file.display()))
    }
}
