//! What U-Boot is told: by a file of the kind that extlinux reads, or by a script, which has to be
//! wrapped as an image of U-Boot's own (`include/image.h`).

use anyhow::{Result, ensure};
use crc::{CRC_32_ISO_HDLC, Crc};

use super::IMAGE;

const MAGIC: u32 = 0x2705_1956;
/// The header's last fields but the name: Linux, arm64, a script, not compressed.
const KIND: [u8; 4] = [5, 22, 6, 0];
const NAME_LENGTH: usize = 32;

/// The file `extlinux/extlinux.conf` on a disk that has the image.
pub(super) fn extlinux(settings: &str) -> Result<String> {
    check(settings)?;
    let head = format!("default elone\ntimeout 1\nlabel elone\n  kernel /{IMAGE}\n");
    Ok(match settings {
        "" => head,
        settings => format!("{head}  append {settings}\n"),
    })
}

/// The script on a server that has the image.
pub(super) fn tftp(settings: &str) -> Result<String> {
    check(settings)?;
    Ok(format!(
        "setenv bootargs '{settings}'\n\
         tftpboot ${{kernel_addr_r}} {IMAGE} && booti ${{kernel_addr_r}} - ${{fdtcontroladdr}}\n"
    ))
}

/// U-Boot takes neither a way to quote a quote, nor a dollar that is none of its own.
fn check(settings: &str) -> Result<()> {
    let odd = |letter: &char| letter.is_ascii_control() || "'$\\".contains(*letter);
    let found = settings.chars().find(odd);
    ensure!(found.is_none(), "U-Boot cannot hand over {:?}", found.unwrap_or_default());
    Ok(())
}

/// A script as `source` takes it: a header, a table of lengths, the text.
pub(super) fn image(script: &str) -> Vec<u8> {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    // A script is far below 4 GiB.
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let data = [&length(script.len())[..], &[0; 4], script.as_bytes()].concat();
    let mut name = b"elone".to_vec();
    name.resize(NAME_LENGTH, 0);
    let header = |checksum: u32| {
        let words = [MAGIC, checksum, 0].map(u32::to_be_bytes).concat();
        let rest = [length(data.len()), [0; 4], [0; 4]].concat();
        [&words[..], &rest, &crc.checksum(&data).to_be_bytes(), &KIND, &name].concat()
    };
    let checksum = crc.checksum(&header(0));
    [header(checksum), data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_handed_over_as_they_are_or_refused() {
        assert!(extlinux("a=b c").unwrap().contains("\n  append a=b c\n"));
        assert!(!extlinux("").unwrap().contains("append"));
        assert!(tftp("a=b c").unwrap().starts_with("setenv bootargs 'a=b c'\n"));
        for wrong in ["it's", "a\nb", "$x", "\\"] {
            assert!(extlinux(wrong).is_err() && tftp(wrong).is_err(), "{wrong:?}");
        }
    }

    /// Beside what `mkimage -A arm64 -T script -C none -n elone` makes of the same text: its time is
    /// another, and so is the checksum that covers it.
    #[test]
    fn a_script_is_wrapped_as_u_boots_own_tool_does_it() {
        let image = image("echo hello\n");
        let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
        let mut header = image[..64].to_vec();
        let checksum = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        header[4..8].fill(0);
        assert_eq!(checksum, crc.checksum(&header));
        assert_eq!(image[12..16], [0, 0, 0, 19]);
        assert_eq!(image[28..37], *b"\x05\x16\x06\x00elone");
        assert_eq!(image[64..], *b"\0\0\0\x0b\0\0\0\0echo hello\n");
        let data = u32::from_be_bytes([image[24], image[25], image[26], image[27]]);
        assert_eq!(data, crc.checksum(&image[64..]));
    }
}
