//! What Elone is compared with: a Debian guest for arm64 that does nothing but serve with nginx.
//!
//! The distribution's own kernel, and an initramfs with a static busybox as `init`, the two modules
//! that the network takes, and nginx with its libraries: as little as a Linux guest gets by with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use elone_harness::Board;

use super::debian::{Dependencies, Packages, find_below};
use super::elf;
use super::initramfs::Initramfs;
use super::subject::Subject;

/// What its init says when all that is left is starting the server.
pub(super) const MARKER: &str = "the server starts";
/// What it is given, in MiB. It boots with some 73.
pub(super) const MEMORY: u32 = 256;
/// The kernel's command line: a console, and nothing written to it.
pub(super) const SETTINGS: &[&str] = &["console=ttyAMA0", "quiet", "loglevel=0", "panic=-1"];

const KERNEL: &str = "linux-image-arm64";
/// The modules that the network takes; what they depend on is found out.
const MODULES: [&str; 2] = ["virtio_mmio", "virtio_net"];

/// The page at `/health`: as long as the gateway's answer there.
const PAGE: &str = "{\"status\":\"ok\",\"uptime\":1,\"requests\":1}\n";

/// One process, no log, connections kept for ever: nothing that would slow it down.
const CONFIGURATION: &str = "\
daemon off;
master_process off;
error_log stderr crit;
pid /tmp/nginx.pid;
events { worker_connections 512; }
http {
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    default_type application/json;
    client_body_temp_path /tmp;
    proxy_temp_path /tmp;
    fastcgi_temp_path /tmp;
    uwsgi_temp_path /tmp;
    scgi_temp_path /tmp;
    server { listen 80; root /www; }
}
";

/// Builds the guest below `directory`, or takes the one that is there.
pub(super) fn subject(directory: &Path, board: &Board) -> Result<Subject> {
    let mut packages = Packages::new(directory)?;
    let kernel = packages.depended_on(KERNEL, "linux-image-")?;
    let kernel = packages.unpacked(&kernel, Dependencies::Without)?;
    let busybox = packages.unpacked("busybox-static", Dependencies::Without)?;
    let nginx = packages.unpacked("nginx", Dependencies::With)?;

    let initramfs = directory.join("initramfs.cpio");
    let archive = archive(&kernel, &busybox, &nginx)?;
    fs::write(&initramfs, archive).with_context(|| format!("writing {}", initramfs.display()))?;
    let image = find_below(&kernel.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    let image = image.context("the kernel's package holds no kernel")?;
    Ok(Subject::linux(board, &image, &initramfs))
}

fn archive(kernel: &Path, busybox: &Path, nginx: &Path) -> Result<Vec<u8>> {
    let mut files = Initramfs::default();
    for directory in ["dev", "proc", "tmp", "var/log/nginx", "modules"] {
        files.directory(directory);
    }
    files.program("bin/busybox", read(&busybox.join("bin/busybox"))?);
    let mut script = vec!["#!/bin/busybox sh".to_owned()];
    for module in modules(kernel)? {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        script.push(format!("/bin/busybox insmod /modules/{name}"));
        files.file(&format!("modules/{name}"), read(&module)?);
    }
    script.push("/bin/busybox ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up".to_owned());
    script.push(format!("echo {MARKER}"));
    script.push("exec /usr/sbin/nginx -c /etc/nginx.conf".to_owned());
    files.program("init", (script.join("\n") + "\n").into_bytes());
    for (path, contents) in elf::program_with_libraries(nginx, "/usr/sbin/nginx")? {
        files.program(&path, contents);
    }
    files.file("etc/nginx.conf", CONFIGURATION.into());
    files.file(
        "etc/passwd",
        b"root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n".into(),
    );
    files.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n".into());
    files.file("www/health", PAGE.into());
    Ok(files.finish())
}

/// The modules to load, each after those it depends on. What is not there is built in.
fn modules(kernel: &Path) -> Result<Vec<PathBuf>> {
    let mut order = Vec::new();
    for name in MODULES {
        add_module(&kernel.join("lib/modules"), name, &mut order)?;
    }
    Ok(order)
}

fn add_module(directory: &Path, name: &str, order: &mut Vec<PathBuf>) -> Result<()> {
    let is_it = |file: &str| {
        file.strip_suffix(".ko")
            .is_some_and(|stem| stem.replace('-', "_") == name.replace('-', "_"))
    };
    let Some(file) = find_below(directory, is_it)? else { return Ok(()) };
    if order.contains(&file) {
        return Ok(());
    }
    for dependency in dependencies(&read(&file)?) {
        add_module(directory, &dependency, order)?;
    }
    order.push(file);
    Ok(())
}

/// What a module says it depends on: `depends=one,two` among the strings of its `.modinfo`.
fn dependencies(module: &[u8]) -> Vec<String> {
    let field = module.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(b"depends="));
    let names = String::from_utf8_lossy(field.unwrap_or_default()).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modules_dependencies_are_among_its_strings() {
        let module = b"\x7fELF\0license=GPL\0depends=net_failover,virtio\0name=virtio_net\0";
        assert_eq!(dependencies(module), ["net_failover", "virtio"]);
        assert_eq!(dependencies(b"depends=\0"), [""; 0]);
    }

    #[test]
    fn modules_come_after_what_they_depend_on() {
        let root = std::env::temp_dir().join(format!("elone-modules-{}", std::process::id()));
        let directory = root.join("lib/modules/6.1/net");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("virtio_net.ko"), b"\0depends=net-failover\0").unwrap();
        fs::write(directory.join("net_failover.ko"), b"\0depends=\0").unwrap();
        let found = modules(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, ["net_failover.ko", "virtio_net.ko"].map(|name| directory.join(name)));
    }
}
