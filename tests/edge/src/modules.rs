//! A kernel's modules: which files have to be loaded for those that are wanted, in which order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use object::{Object, ObjectSection};

/// A module to be loaded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// With underscores, as the kernel calls it.
    pub(crate) name: String,
    pub(crate) contents: Vec<u8>,
}

/// The `wanted` modules of the kernel whose modules are below `directory`, each after those that it
/// depends on. What is built into the kernel has no file, and needs none.
pub(crate) fn in_order(directory: &Path, wanted: &[&str]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    find(directory, &mut files).with_context(|| format!("reading {}", directory.display()))?;
    let mut order = Vec::new();
    for name in wanted {
        add(name, &files, &mut order)?;
    }
    Ok(order)
}

/// Notes every module below `directory`, by its name.
fn find(directory: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = name.strip_suffix(".ko").or(name.strip_suffix(".ko.xz")) {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

fn add(name: &str, files: &BTreeMap<String, PathBuf>, order: &mut Vec<Module>) -> Result<()> {
    let Some(file) = files.get(name) else { return Ok(()) };
    if order.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let read = || {
        let contents = contents(file)?;
        let needed = needed_by(&contents)?;
        anyhow::Ok((contents, needed))
    };
    let (contents, needed) = read().with_context(|| format!("module {}", file.display()))?;
    for other in needed {
        add(&other, files, order)?;
    }
    order.push(Module { name: name.to_owned(), contents });
    Ok(())
}

/// A module's object file. Newer kernels come with compressed ones, which a host would need another
/// program to load.
fn contents(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_none_or(|extension| extension != "xz") {
        return Ok(fs::read(file)?);
    }
    let output = Command::new("xz").arg("-dc").arg(file).output().context("running xz")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "xz: {}: {}", output.status, complaint.trim());
    Ok(output.stdout)
}

/// The modules that one says it needs: `depends=a,b` among the texts of its section `.modinfo`.
fn needed_by(module: &[u8]) -> Result<Vec<String>> {
    let module = object::File::parse(module)?;
    let information = module.section_by_name(".modinfo").context("it has no .modinfo")?;
    let texts = information.data()?.split(|byte| *byte == 0);
    let list = texts.filter_map(|text| text.strip_prefix(b"depends=")).next().unwrap_or_default();
    let names = String::from_utf8_lossy(list);
    let names = names.split(',').filter(|name| !name.is_empty());
    Ok(names.map(|name| name.replace('-', "_")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::write::Object as Writer;
    use object::{Architecture, BinaryFormat, Endianness, SectionKind};

    fn module(depends: &str) -> Vec<u8> {
        let mut writer = Writer::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
        let section = writer.add_section(vec![], b".modinfo".to_vec(), SectionKind::ReadOnlyData);
        let text = format!("license=GPL\0depends={depends}\0name=x\0");
        writer.append_section_data(section, text.as_bytes(), 1);
        writer.write().unwrap()
    }

    /// Files in two directories, with either spelling.
    fn tree(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("elone-{name}-{}", std::process::id()));
        for (path, depends) in [
            ("drivers/virtio-net.ko", "net-failover,virtio"),
            ("net/net_failover.ko", "failover"),
            ("net/failover.ko", ""),
            ("drivers/virtio.ko", "built-in"),
        ] {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, module(depends)).unwrap();
        }
        root
    }

    #[test]
    fn what_a_module_needs_comes_before_it_once() {
        let root = tree("modules");
        let order = in_order(&root, &["virtio", "virtio_net", "absent"]).unwrap();
        let names: Vec<_> = order.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["virtio", "failover", "net_failover", "virtio_net"]);
        assert_eq!(order[1].contents, module(""));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_damaged_module_is_named() {
        let root = tree("damaged-modules");
        fs::write(root.join("net/failover.ko"), "no module").unwrap();
        let message = format!("{:#}", in_order(&root, &["virtio_net"]).unwrap_err());
        assert!(message.contains("failover.ko"), "{message}");
        fs::remove_dir_all(root).unwrap();
    }
}
