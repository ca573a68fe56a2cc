//! A small virtual machine monitor for KVM on arm64.
//!
//! What the machine is comes from a file, so that an image can be booted on the map of any other
//! monitor, or on one that none has. To be read in this order: [`map`] is the file, [`memory`] and
//! [`tree`] what the guest finds of it, [`bus`], [`devices`] and [`virtio`] what answers its
//! accesses, [`machine`] all of that plugged together, `kvm` the cores and the interrupt
//! controller, and [`confine`] what this process may still do once the guest runs. All unsafe code is
//! in [`shell`].
//!
//! Everything but `kvm` is built and tested on any Linux host.

pub mod arguments;
pub mod bell;
pub mod bus;
pub mod confine;
pub mod devices;
pub mod identity;
pub mod image;
pub mod line;
pub mod machine;
pub mod map;
pub mod memory;
pub mod outlet;
pub mod plan;
pub mod shell;
pub mod signals;
pub mod tree;
pub mod virtio;

#[cfg(target_arch = "aarch64")]
pub mod kvm;
/// Where there is no KVM for arm64.
#[cfg(not(target_arch = "aarch64"))]
pub mod kvm {
    use anyhow::{Result, bail};

    use crate::plan::{Ending, Plan};

    /// Runs nothing.
    ///
    /// # Errors
    /// Always.
    pub fn run(_plan: Plan) -> Result<Ending> {
        bail!("this host is no arm64 machine: nothing but --write-tree can be done here")
    }
}
