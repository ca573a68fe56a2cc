//! An initramfs: a cpio archive of the `newc` kind, as "Documentation/driver-api/early-userspace/
//! buffer-format" in Linux's sources has it.

use std::collections::BTreeMap;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
/// The name that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// Files to be packed: path → mode and contents. The order of paths has each directory before what
/// is in it.
#[derive(Debug, Default)]
pub(super) struct Initramfs(BTreeMap<String, (u32, Vec<u8>)>);

impl Initramfs {
    /// Adds a directory, and those it is in.
    pub(super) fn directory(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            self.0.entry(path[..end].to_owned()).or_insert((DIRECTORY, Vec::new()));
        }
        self.0.entry(path.to_owned()).or_insert((DIRECTORY, Vec::new()));
    }

    pub(super) fn program(&mut self, path: &str, contents: Vec<u8>) {
        self.add(path, PROGRAM, contents);
    }

    pub(super) fn file(&mut self, path: &str, contents: Vec<u8>) {
        self.add(path, FILE, contents);
    }

    fn add(&mut self, path: &str, mode: u32, contents: Vec<u8>) {
        if let Some((directory, _)) = path.rsplit_once('/') {
            self.directory(directory);
        }
        self.0.insert(path.to_owned(), (mode, contents));
    }

    /// The archive. Its owner is root, its times are all 0: the same files make the same archive.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut archive = Vec::new();
        for (number, (path, (mode, contents))) in (1..).zip(&self.0) {
            append(&mut archive, number, path, *mode, contents);
        }
        append(&mut archive, 0, TRAILER, 0, &[]);
        archive
    }
}

fn append(archive: &mut Vec<u8>, number: u32, path: &str, mode: u32, contents: &[u8]) {
    let links = if mode == DIRECTORY { 2 } else { 1 };
    let header = [
        number as usize,
        mode as usize,
        0, // user
        0, // group
        links,
        0, // time
        contents.len(),
        0, // device, major and minor
        0,
        0, // the device that it is, major and minor
        0,
        path.len() + 1,
        0, // check sum, unused in this kind
    ];
    archive.extend_from_slice(b"070701");
    archive.extend(header.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
    archive.extend_from_slice(path.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(contents);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_before_what_is_in_them() {
        let mut files = Initramfs::default();
        files.program("usr/sbin/nginx", b"code".to_vec());
        files.file("init", b"x".to_vec());
        let archive = files.finish();
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8_lossy(&archive);
        let at = |name: &str| text.find(name).unwrap();
        let order = ["init\0", "usr\0", "usr/sbin\0", "usr/sbin/nginx\0", "TRAILER!!!\0"].map(at);
        assert!(order.is_sorted(), "{order:?}");
        assert!(text.starts_with("07070100000001000081a4"), "{text}");
    }
}
