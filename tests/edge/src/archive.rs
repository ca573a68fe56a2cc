//! Writing an initramfs: a cpio archive in the "new ASCII" form, the one that Linux unpacks
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::io::{self, Write};

/// Marks the end; a name that no file can have.
const TRAILER: &str = "TRAILER!!!";
/// The kinds in a mode, as `stat` has them.
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// Every header and all contents begin at a multiple of this.
const ALIGNMENT: usize = 4;

/// An archive that is being written.
#[derive(Debug)]
pub(crate) struct Archive<W: Write> {
    out: W,
    written: usize,
    entries: u32,
    directories: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, written: 0, entries: 0, directories: BTreeSet::new() }
    }

    /// Adds a file that may be read and run by all; `path` begins with a slash.
    pub(crate) fn file(&mut self, path: &str, contents: &[u8]) -> io::Result<()> {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above)?;
        }
        self.entry(path, REGULAR | 0o755, contents)
    }

    /// Adds a directory, and those that it is in, unless they are there already.
    pub(crate) fn directory(&mut self, path: &str) -> io::Result<()> {
        if path.is_empty() || !self.directories.insert(path.to_owned()) {
            return Ok(());
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above)?;
        }
        self.entry(path, DIRECTORY | 0o755, &[])
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.entry(TRAILER, 0, &[])?;
        self.out.flush()
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        let name = path.trim_start_matches('/');
        let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let length = u32::try_from(contents.len()).map_err(too_long)?;
        let name_length = u32::try_from(name.len() + 1).map_err(too_long)?;
        self.entries += 1;
        let mut header = b"070701".to_vec();
        // inode, mode, owner, group, links, time, length, device (two), special device (two), length
        // of the name with its end, checksum (of another form)
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        for field in fields {
            write!(header, "{field:08x}")?;
        }
        header.extend_from_slice(name.as_bytes());
        header.push(0);
        self.padded(&header)?;
        self.padded(contents)
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len();
        let padding = self.written.next_multiple_of(ALIGNMENT) - self.written;
        self.out.write_all(&[0; ALIGNMENT][..padding])?;
        self.written += padding;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive by the format's own description: names, modes, contents.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |index: usize| {
                let digits = &bytes[6 + index * 8..14 + index * 8];
                usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let (mode, length, name_length) = (field(1), field(6), field(11));
            let contents = (110 + name_length).next_multiple_of(4);
            let name = &bytes[110..110 + name_length - 1];
            let name = String::from_utf8(name.to_vec()).unwrap();
            assert_eq!(bytes[109 + name_length], 0);
            if name == TRAILER {
                assert_eq!(bytes.len(), contents);
                return entries;
            }
            let file = bytes[contents..contents + length].to_vec();
            entries.push((name, u32::try_from(mode).unwrap(), file));
            bytes = &bytes[(contents + length).next_multiple_of(4)..];
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.directory("/proc").unwrap();
        for length in 0..9 {
            let path = format!("/a/b{}/file", "x".repeat(length));
            archive.file(&path, &b"contents!"[..length]).unwrap();
        }
        archive.finish().unwrap();
        let entries = read(&bytes);
        let files: Vec<_> = entries.iter().filter(|(_, mode, _)| *mode == 0o100_755).collect();
        assert_eq!(files.len(), 9);
        for (length, (name, _, contents)) in files.into_iter().enumerate() {
            assert_eq!(*name, format!("a/b{}/file", "x".repeat(length)));
            assert_eq!(contents, &b"contents!"[..length]);
        }
        let directories = entries.iter().filter(|(_, mode, _)| *mode == 0o040_755);
        let names: Vec<_> = directories.map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names[..3], ["proc", "a", "a/b"]);
        assert_eq!(names.len(), 2 + 9, "a directory is there twice: {names:?}");
    }

    #[test]
    fn a_directory_comes_before_what_is_in_it() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.file("/a/b/c", b"").unwrap();
        archive.finish().unwrap();
        let names: Vec<_> = read(&bytes).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["a", "a/b", "a/b/c"]);
    }
}
