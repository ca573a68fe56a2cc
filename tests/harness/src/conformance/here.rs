//! A machine that a board file describes: emulated here, or on a host with KVM.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{End, Findings, IMAGE, PATIENCE, PORT, Plugged, SECTORS, Subject, examine};
use crate::client::connect;
use crate::{Board, Context, Forward, Guest, Network, Shutdown};

/// What is found on this board, with what can be plugged in there. `name` is that of files which no
/// other has at the same time.
#[must_use]
pub fn on_a_board(context: &Context, board: &Board, name: &str) -> Findings {
    let devices = &board.devices;
    let (disk, network) = (devices.disk.is_some(), devices.network.is_some());
    let entropy = devices.entropy.is_some();
    match start(context, board, name) {
        Ok(subject) => examine(subject, Plugged { disk, network, entropy }),
        Err(error) => Findings::of_none(&error),
    }
}

fn start(context: &Context, board: &Board, name: &str) -> Result<Here> {
    let mut machine = context.machine_of(board, IMAGE)?;
    let disk = context.scratch.join(format!("{name}.disk"));
    if board.devices.disk.is_some() {
        fs::write(&disk, vec![0; SECTORS * 512]).with_context(|| disk.display().to_string())?;
        machine = machine.disk(&disk);
    }
    if board.devices.network.is_some() {
        machine = machine.network(Network::User(vec![Forward::tcp(PORT)]));
    }
    Ok(Here { guest: machine.boot()?, disk })
}

struct Here {
    guest: Guest,
    disk: PathBuf,
}

impl Subject for Here {
    fn wait_for(&self, text: &str) -> Result<String> {
        Ok(self.guest.wait_for(text, PATIENCE)?)
    }

    fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        self.guest.type_in(bytes)
    }

    fn connect(&mut self) -> Result<TcpStream> {
        connect(&mut self.guest, PORT)
    }

    fn end(self, plugged: Plugged) -> Result<End> {
        let ending = self.guest.ending(PATIENCE)?;
        ending.expect_status(0)?;
        let is_off = ending.shutdown == Shutdown::PoweredOff;
        if !plugged.disk {
            return Ok(End { disk: Vec::new(), is_off });
        }
        let disk = fs::read(&self.disk).with_context(|| self.disk.display().to_string())?;
        fs::remove_file(&self.disk)?;
        Ok(End { disk, is_off })
    }
}
