//! What firmware boots from: a disk with a GUID partition table (UEFI 2.10, section 5.3) and, on it,
//! an EFI system partition, which is a FAT volume. U-Boot takes the same.

use std::fs::{self, File};
use std::io::{Cursor, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::{GptConfig, partition_types};

const SECTOR: u64 = 512;
/// What lies before the volume and behind it: both copies of the table, and the alignment that tools
/// give partitions.
const MARGIN: u64 = 1 << 20;
/// The least size of a volume: FAT16, which every firmware reads, takes 4085 clusters.
const LEAST: u64 = 16 << 20;

/// Files by their paths, which have slashes and begin with none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volume(Vec<(String, Vec<u8>)>);

impl Volume {
    /// With one more file.
    #[must_use]
    pub(crate) fn with(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.0.push((path.to_owned(), contents.into()));
        self
    }

    /// Writes the disk.
    pub(crate) fn write_disk(&self, file: &Path) -> Result<()> {
        let volume = self.format().context("making a FAT volume")?;
        write_disk(&volume, file).with_context(|| format!("writing {}", file.display()))
    }

    /// Writes the files themselves into a directory, for a server.
    pub(crate) fn write_files(&self, directory: &Path) -> Result<()> {
        for (path, contents) in &self.0 {
            let file = directory.join(path);
            let place = file.parent().unwrap_or(directory);
            fs::create_dir_all(place)
                .and_then(|()| fs::write(&file, contents))
                .with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    /// The volume, byte by byte.
    fn format(&self) -> Result<Vec<u8>> {
        let contents: u64 = self.0.iter().map(|(_, contents)| contents.len() as u64).sum();
        // Half as much again is more than the file system's own share.
        let length = (contents * 3 / 2).max(LEAST).next_multiple_of(MARGIN);
        let mut disk = Cursor::new(vec![0; usize::try_from(length)?]);
        let options = FormatVolumeOptions::new().fat_type(FatType::Fat16);
        fatfs::format_volume(&mut disk, options.volume_label(*b"ELONE      "))?;
        {
            let volume = FileSystem::new(&mut disk, FsOptions::new())?;
            for (path, contents) in &self.0 {
                let mut directory = volume.root_dir();
                let mut names = path.split('/').peekable();
                while let Some(name) = names.next() {
                    if names.peek().is_some() {
                        directory = directory.create_dir(name)?;
                    } else {
                        directory.create_file(name)?.write_all(contents)?;
                    }
                }
            }
        }
        Ok(disk.into_inner())
    }
}

/// Writes a disk with `volume` as its only partition.
fn write_disk(volume: &[u8], file: &Path) -> Result<()> {
    let mut disk = File::options().read(true).write(true).create(true).truncate(true).open(file)?;
    let length = volume.len() as u64 + 2 * MARGIN;
    disk.set_len(length)?;
    let sectors = u32::try_from(length / SECTOR - 1)?;
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut disk)?;
    let table = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = table.create_from_device(disk, None)?;
    let (first, count) = (MARGIN / SECTOR, volume.len() as u64 / SECTOR);
    table.add_partition_at("elone", 1, first, count, partition_types::EFI, 0)?;
    let mut disk = table.write()?;
    disk.seek(SeekFrom::Start(MARGIN))?;
    disk.write_all(volume)?;
    Ok(disk.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// By the readers of the crates that wrote them, and the magic numbers by hand.
    #[test]
    fn what_is_written_can_be_read() {
        let file = std::env::temp_dir().join(format!("elone-volume-{}", std::process::id()));
        let large: Vec<u8> = (0..3_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
        let volume = Volume::default().with("a/b/long-file-name.conf", "text\n");
        volume.with("a/image", large.clone()).write_disk(&file).unwrap();
        let disk = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!((&disk[510..512], &disk[512..520]), (&[0x55, 0xaa][..], &b"EFI PART"[..]));

        let table = GptConfig::new().open_from_device(Cursor::new(disk.clone())).unwrap();
        let partition = table.partitions()[&1].clone();
        assert_eq!(partition.part_type_guid, partition_types::EFI);
        let first = usize::try_from(partition.first_lba * SECTOR).unwrap();
        let end = usize::try_from((partition.last_lba + 1) * SECTOR).unwrap();
        let volume = Cursor::new(disk[first..end].to_vec());
        let volume = FileSystem::new(volume, FsOptions::new()).unwrap();
        for (path, contents) in
            [("a/b/long-file-name.conf", b"text\n".to_vec()), ("a/image", large)]
        {
            let mut read = Vec::new();
            volume.root_dir().open_file(path).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == contents, "{path}");
        }
    }
}
