//! A disk that is set aside as a kernel's black box: a file of 64 KiB that begins with a signature,
//! as `kernel/src/blackbox.rs` says. The kernel is not asked, so that a test notices if it forgets.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const SIZE: usize = 64 << 10;
const SIGNATURE: &[u8] = b"ELONE BLACK BOX 1\n";

/// Makes such a file, unless there is one already.
///
/// # Errors
/// There is a file of this name that is something else, or none can be made.
pub fn black_box(file: &Path) -> Result<()> {
    let name = || format!("the black box {}", file.display());
    match fs::read(file) {
        Ok(bytes) => {
            let is_one = bytes.len() == SIZE && bytes.starts_with(SIGNATURE);
            ensure!(is_one, "{}: the file is something else, and left alone", name());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = SIGNATURE.to_vec();
            bytes.resize(SIZE, 0);
            fs::write(file, bytes).with_context(name)
        }
        Err(error) => Err(error).with_context(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_black_box_is_made_once_and_nothing_else_is_touched() {
        let file = std::env::temp_dir().join(format!("elone-black-box-{}", std::process::id()));
        black_box(&file).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        assert_eq!((bytes.len(), &bytes[..18]), (65536, SIGNATURE));
        bytes[512] = 1;
        fs::write(&file, &bytes).unwrap();
        black_box(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), bytes, "what was recorded is kept");
        fs::write(&file, "a letter").unwrap();
        assert!(black_box(&file).unwrap_err().to_string().contains("something else"));
        assert_eq!(fs::read(&file).unwrap(), b"a letter");
        fs::remove_file(file).unwrap();
    }
}
