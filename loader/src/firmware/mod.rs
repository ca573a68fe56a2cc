//! The loader where firmware is.

mod files;
mod memory;
mod raw;

use alloc::borrow::Cow;
use core::convert::Infallible;
use core::fmt;

use elone_loader::image::{BOUNDARY, Image, NoImage};
use elone_loader::settings::{self, NoSettings};
use elone_loader::tree::{NoTree, Tree};
use uefi::boot::{self, MemoryType, PAGE_SIZE};
use uefi::{CStr16, Status, cstr16, println};

use self::files::Volume;
use self::memory::Pages;

const IMAGE: &CStr16 = cstr16!("\\elone.img");
const SETTINGS: &CStr16 = cstr16!("\\elone.txt");

/// Why nothing was started. Firmware goes on.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// The volume that this program is on cannot be read.
    NoVolume(Status),
    /// There is no such file.
    NoFile(&'static CStr16),
    /// A file cannot be read.
    Unreadable(&'static CStr16, Status),
    /// A file has this many bytes, more than could be right.
    TooLarge(&'static CStr16, u64),
    /// [`IMAGE`] is none.
    Image(NoImage),
    /// [`SETTINGS`] are none.
    Settings(NoSettings),
    /// Firmware hands over no device tree.
    NoTree,
    /// Firmware's device tree, at this address, is none.
    Tree(usize, NoTree),
    /// There is not so much memory, in bytes, in one piece.
    NoMemory(usize, Status),
}

/// Does everything in firmware's stead that can fail, and leaves it.
fn start() -> Result<Infallible, Refusal> {
    let mut volume = Volume::of_this_program()?;
    let file = volume.read(IMAGE, files::MOST)?.ok_or(Refusal::NoFile(IMAGE))?;
    let image = Image::read(&file).map_err(Refusal::Image)?;
    let settings = volume.read(SETTINGS, settings::MOST_IN_FILE as u64)?;
    let settings =
        settings.as_deref().map(settings::read).transpose().map_err(Refusal::Settings)?;

    let (address, tree) = raw::tree()?;
    let tree = Tree::new(tree, settings.as_deref()).map_err(|no| Refusal::Tree(address, no))?;

    let mut place = Pages::allocate(image.offset + image.size, BOUNDARY)?;
    let (place_of_image, rest) = place.bytes()[image.offset..].split_at_mut(file.len());
    place_of_image.copy_from_slice(&file);
    rest.fill(0);
    let mut place_of_tree = Pages::allocate(tree.bytes.len(), PAGE_SIZE)?;
    place_of_tree.bytes()[..tree.bytes.len()].copy_from_slice(&tree.bytes);

    let said = settings.as_deref().map_or(Cow::Borrowed("none of its own"), Cow::Borrowed);
    // It is told before it is final: nobody says anything once firmware is left.
    let ranges = boot::memory_map(MemoryType::LOADER_DATA).map(|map| memory::kept(&map));
    let ranges = ranges.map_or(0, |kept| kept.ranges().count());
    let length = file.len();
    println!("elone-loader: {length} bytes; firmware keeps {ranges} ranges; settings: {said}");
    raw::leave(place, image.offset, place_of_tree, tree.room)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVolume(status) => write!(f, "the volume it is on cannot be read: {status}"),
            Self::NoFile(path) => write!(f, "there is no {path} on the volume it is on"),
            Self::Unreadable(path, status) => write!(f, "{path} cannot be read: {status}"),
            Self::TooLarge(path, length) => write!(f, "{path}: it is too long: {length} bytes"),
            Self::Image(no) => write!(f, "{IMAGE}: {no}"),
            Self::Settings(no) => write!(f, "{SETTINGS}: {no}"),
            Self::NoTree => f.write_str(
                "firmware hands over no device tree (on QEMU it does with -machine acpi=off)",
            ),
            Self::Tree(address, no) => write!(f, "firmware's device tree at {address:#x}: {no}"),
            Self::NoMemory(length, status) => {
                write!(f, "there are no {length} bytes of memory in one piece: {status}")
            }
        }
    }
}

/// Where firmware begins.
#[uefi::entry]
fn main() -> Status {
    match start() {
        Ok(never) => match never {},
        Err(refusal) => println!("elone-loader: {refusal}"),
    }
    Status::LOAD_ERROR
}
