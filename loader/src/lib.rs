//! What the loader decides: whether a file is an image, what the device tree is to say, and which
//! memory firmware keeps. All of it is safe code that knows nothing of firmware, so it is tested on
//! the host; `main.rs` asks firmware, and `raw.rs` leaves it.
#![no_std]

extern crate alloc;

pub mod image;
pub mod kept;
pub mod settings;
pub mod tree;
