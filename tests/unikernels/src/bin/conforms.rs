//! Tries what every machine is to have, one thing after the other, and says a line of each: what it
//! found, or that there is none. The harness holds it against what was plugged in.
#![no_std]
#![no_main]

extern crate alloc;

use core::fmt::Display;

use elone::gate::{self, Events, Nanoseconds, calls};
use elone::storage::{BlockDevice, SECTOR};
use elone::{Error, Platform, entropy, info};
use embedded_io_async::{Read, Write};

/// Echo (RFC 862).
const PORT: u16 = 7;
/// How many sectors the disk has that is tried.
const SECTORS: u64 = 32;
/// How long the timer is tried, in nanoseconds, and how often.
const SPANS: [u64; 5] = [1_000, 50_000, 1_000_000, 3_333_333, 20_000_000];

#[elone::main]
async fn main(platform: Platform) {
    let machine = platform.machine();
    info!("conforms: boots: {}, {}, {}", machine.board, machine.core, machine.interrupt_controller);
    info!("conforms: levels: entered at {}", machine.entered_at);
    info!("conforms: hypervisor: {}", machine.hypervisor);
    tell("timer", timer());
    tell("entropy", random());
    tell("blk", blocks(&platform).await);
    tell("net", echo(&platform).await);
    tell("console", read_a_line(&platform).await);
}

/// A line of what was found; what is not there at all is no failure of the kernel's.
fn tell(item: &str, outcome: Result<impl Display, Error>) {
    match outcome {
        Ok(found) => info!("conforms: {item}: {found}"),
        Err(
            Error::NoInterface | Error::Gate(gate::Error::NoSuchDevice | gate::Error::NoEntropy),
        ) => {
            info!("conforms: {item}: none")
        }
        Err(error) => info!("conforms: {item}: FAILED: {error}"),
    }
}

/// Sleeps, and is woken by the interrupt: never early.
fn timer() -> Result<&'static str, Error> {
    for span in SPANS.into_iter().cycle().take(2 * SPANS.len()) {
        let deadline = Nanoseconds(calls::now().0 + span);
        while !calls::wait(Some(deadline)).contains(Events::DEADLINE) {}
        if calls::now() < deadline {
            return Ok("FAILED: woken early");
        }
    }
    Ok("never early")
}

/// Two draws differ, and neither is zeros.
fn random() -> Result<&'static str, Error> {
    let mut draws = [[0; 32]; 2];
    for draw in &mut draws {
        entropy::fill(draw)?;
    }
    let [one, other] = draws;
    Ok(if one == other || one == [0; 32] { "FAILED: no entropy" } else { "drawn" })
}

/// Writes every sector of the first disk of the size that is tried, and reads all back. Others, such
/// as one that a boot loader reads the image from, are left alone.
async fn blocks(platform: &Platform) -> Result<alloc::string::String, Error> {
    let (mut index, mut disk) = (0, platform.disk(0)?);
    while disk.sectors() != SECTORS {
        index += 1;
        disk = platform.disk(index)?;
    }
    let sectors = disk.sectors();
    let mut bytes = [0; SECTOR];
    for sector in 0..sectors {
        bytes.fill(pattern(sector));
        disk.write(sector, &bytes).await?;
    }
    disk.flush().await?;
    for sector in 0..sectors {
        disk.read(sector, &mut bytes).await?;
        if bytes != [pattern(sector); SECTOR] {
            return Ok(alloc::format!("FAILED: sector {sector} differs"));
        }
    }
    Ok(alloc::format!("{sectors} sectors"))
}

/// What is in a sector; the harness looks for it in the disk's file.
fn pattern(sector: u64) -> u8 {
    (sector as u8).wrapping_mul(7).wrapping_add(1)
}

/// Sends one client back what it sent.
async fn echo(platform: &Platform) -> Result<&'static str, Error> {
    let net = platform.net().configured().await?;
    let listener = net.bind(PORT).await?;
    info!("conforms: echoing on {}:{PORT}", net.address());
    let (_, mut socket) = listener.accept().await?;
    elone::copy::back(&mut socket, &mut [0; 1024]).await?;
    socket.close().await?;
    Ok("echoed")
}

/// Says back, in capitals, a line that is typed.
async fn read_a_line(platform: &Platform) -> Result<&'static str, Error> {
    let mut console = platform.console();
    let mut line = [0; 64];
    // From the first read on what is typed is kept; nobody types before the line below.
    let mut length = calls::console_read(&mut line[..1]);
    info!("conforms: type a line");
    while length < line.len()
        && !line[..length].ends_with(b"\r")
        && !line[..length].ends_with(b"\n")
    {
        let Ok(more) = console.read(&mut line[length..]).await;
        length += more;
    }
    line.make_ascii_uppercase();
    let Ok(()) = console.write_all(&line[..length]).await;
    Ok("read")
}
