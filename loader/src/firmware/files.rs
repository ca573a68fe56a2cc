//! The volume that this program was started from.

use alloc::vec::Vec;

use uefi::fs::{Error, FileSystem};
use uefi::{CStr16, Status, boot};

use super::Refusal;

/// More bytes than an image has.
pub(super) const MOST: u64 = 256 << 20;

pub(super) struct Volume(FileSystem);

impl Volume {
    pub(super) fn of_this_program() -> Result<Self, Refusal> {
        let volume = boot::get_image_file_system(boot::image_handle());
        volume.map(FileSystem::new).map(Self).map_err(|error| Refusal::NoVolume(error.status()))
    }

    /// The contents of a file, `None` if there is none, unless it has more than `most` bytes.
    pub(super) fn read(
        &mut self,
        path: &'static CStr16,
        most: u64,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let length = match self.0.metadata(path) {
            Ok(known) => known.file_size(),
            Err(error) if status(&error) == Status::NOT_FOUND => return Ok(None),
            Err(error) => return Err(Refusal::Unreadable(path, status(&error))),
        };
        if length > most {
            return Err(Refusal::TooLarge(path, length));
        }
        self.0.read(path).map(Some).map_err(|error| Refusal::Unreadable(path, status(&error)))
    }
}

fn status(error: &Error) -> Status {
    match error {
        Error::Io(error) => error.uefi_error.status(),
        Error::Path(_) | Error::Utf8Encoding(_) => Status::INVALID_PARAMETER,
    }
}
