//! The emulator's debugging stub, spoken to without a debugger: for what a debugger does not do by
//! itself, such as changing memory by its physical address behind the guest's back.
//!
//! (GDB manual, appendix E: "Remote Serial Protocol"; QEMU, "GDB usage", `Qqemu.PhyMemMode`.)

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{Guest, Machine};

const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes that are asked for at once. The emulator's packets have room for 4096 characters.
const PIECE: usize = 1024;

/// A machine that stands still while its memory is looked at and changed.
#[derive(Debug)]
pub(crate) struct Stub(BufReader<TcpStream>);

impl Stub {
    /// A machine that has one. The emulator takes a port that is free.
    pub(crate) fn offered_by(machine: Machine) -> Machine {
        let chosen = "socket,id=debugger,host=127.0.0.1,port=0,server=on,wait=off";
        machine.argument("-chardev").argument(chosen).argument("-gdb").argument("chardev:debugger")
    }

    /// Stops the machine.
    pub(crate) fn stop(guest: &mut Guest) -> Result<Self> {
        let devices = guest.qmp()?.execute("query-chardev", json!({}))?.to_string();
        let port = devices.split("tcp:127.0.0.1:").nth(1).context("the machine has no stub")?;
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse()?))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut stub = Self(BufReader::new(stream));
        // The emulator stops it when the connection is there, and answers only then.
        stub.expect_ok("Qqemu.PhyMemMode:1")?;
        Ok(stub)
    }

    /// `length` bytes of memory at a physical address.
    pub(crate) fn read(&mut self, address: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let piece = PIECE.min(length - bytes.len());
            let answer = self.ask(&format!("m{:x},{piece:x}", address + bytes.len() as u64))?;
            let digits = answer.as_bytes().chunks_exact(2);
            ensure!(digits.len() == piece, "no memory at {address:#x}: {answer:?}");
            for pair in digits {
                bytes.push(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
            }
        }
        Ok(bytes)
    }

    /// Writes to memory at a physical address.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.expect_ok(&format!("M{address:x},{:x}:{digits}", bytes.len()))
    }

    /// Lets the machine go on.
    pub(crate) fn leave(mut self) -> Result<()> {
        self.expect_ok("D")
    }

    fn expect_ok(&mut self, command: &str) -> Result<()> {
        let answer = self.ask(command)?;
        ensure!(answer == "OK", "{command}: the emulator says {answer:?}");
        Ok(())
    }

    /// A packet there and one back. What the emulator says of its own accord, that the machine has
    /// stopped, may come before it.
    fn ask(&mut self, command: &str) -> Result<String> {
        let packet = format!("${command}#{:02x}", sum(command.as_bytes()));
        self.0.get_mut().write_all(packet.as_bytes())?;
        loop {
            let answer = self.packet().with_context(|| format!("{command}: no answer"))?;
            if !answer.starts_with('T') {
                return Ok(answer);
            }
        }
    }

    /// The next packet from the emulator: `$`, what it says, `#`, the sum of that; it is taken with a
    /// `+`, as ours are.
    fn packet(&mut self) -> Result<String> {
        let mut before = Vec::new();
        self.0.read_until(b'$', &mut before)?;
        let mut said = Vec::new();
        self.0.read_until(b'#', &mut said)?;
        ensure!(said.pop() == Some(b'#'), "the emulator has hung up");
        let mut given = [0; 2];
        self.0.read_exact(&mut given)?;
        ensure!(given == format!("{:02x}", sum(&said)).as_bytes(), "a packet came damaged");
        self.0.get_mut().write_all(b"+")?;
        Ok(String::from_utf8(said)?)
    }
}

fn sum(text: &[u8]) -> u8 {
    text.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
