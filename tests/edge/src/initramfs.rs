//! The host's file system, all of it, and its first program.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::archive::Archive;
use crate::modules::{self, Module};
use crate::{EMULATOR, MODULES, Parts, READY, WITHOUT_KVM, libraries, shell};

/// Writes the initramfs that is made of `parts`.
pub(crate) fn write(parts: &Parts, file: &Path) -> Result<()> {
    let modules = modules::in_order(&parts.modules, &MODULES)?;
    let mut archive = Archive::new(BufWriter::new(File::create(file)?));
    for directory in ["/dev", "/proc", "/sys", "/tmp", "/etc", "/run", "/bin", "/sbin"] {
        archive.directory(directory)?;
    }
    let busybox = libraries::resolve(&parts.busybox, "/bin/busybox");
    let busybox = busybox.context("the package has no /bin/busybox")?;
    archive.file("/bin/busybox", &fs::read(busybox)?)?;
    for (name, contents) in libraries::with_libraries(&parts.qemu, EMULATOR)? {
        archive.file(&name, &contents)?;
    }
    for module in &modules {
        archive.file(&path(module), &module.contents)?;
    }
    archive.file(shell::SERVE, shell::SERVER.as_bytes())?;
    archive.file("/init", init(&modules).as_bytes())?;
    Ok(archive.finish()?)
}

fn path(module: &Module) -> String {
    format!("/lib/modules/{}.ko", module.name)
}

/// The first program: brings the host up, and from then on serves commands. Memory is given to
/// guests as they use it, so that the host can be smaller than what its guests might use.
fn init(modules: &[Module]) -> String {
    let load: String = modules.iter().map(|module| format!("insmod {}\n", path(module))).collect();
    let (port, serve) = (shell::PORT, shell::SERVE);
    format!(
        "#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/sbin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
echo 1 > /proc/sys/vm/overcommit_memory
{load}ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
route add default gw 10.0.2.2
if [ -e /dev/kvm ]; then echo '{READY}'; else echo '{WITHOUT_KVM}'; fi
while :; do nc -ll -p {port} -e {serve}; done
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_in_their_order_before_anything_needs_them() {
        let module = |name: &str| Module { name: name.to_owned(), contents: Vec::new() };
        let text = init(&[module("virtio"), module("virtio_net")]);
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
        let order = ["#!/bin/busybox sh\n", "insmod /lib/modules/virtio.ko\n"];
        let rest = ["insmod /lib/modules/virtio_net.ko\n", "ifconfig eth0", READY, "nc -ll"];
        let places: Vec<_> = order.iter().chain(&rest).map(|words| at(words)).collect();
        assert!(places.is_sorted() && places[0] == 0, "{text}");
    }
}
