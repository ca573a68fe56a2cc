//! Puts the early facts of one board into the image: those of `boards/NAME.toml`, where the
//! environment says `ELONE_BOARD=NAME`; of QEMU's `virt` machine where it says nothing.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use elone_early::file;

/// The board whose image serves wherever a device tree is handed over.
const USUAL: &str = "qemu-virt";

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=ELONE_BOARD");
    let name = env::var("ELONE_BOARD").ok().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| USUAL.to_owned());
    write(&name).map_err(|error| format!("boards/{name}.toml: {error}"))
}

fn write(name: &str) -> Result<(), Box<dyn Error>> {
    let file = format!("{name}.toml");
    println!("cargo::rerun-if-changed={file}");
    let early = file::read(&fs::read_to_string(file)?)?.ok_or("there is no table [early]")?;
    let output = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    Ok(fs::write(output.join("early.rs"), file::constant(&early))?)
}
