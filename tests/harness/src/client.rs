//! Clients on this machine, connected to the guest through a forwarded port.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use crate::Guest;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to the guest's TCP `port`.
///
/// Returns only when the connection has arrived at the emulator. What is refused from then on the
/// guest has refused.
pub(crate) fn connect(guest: &mut Guest, port: u16) -> Result<TcpStream> {
    let host = guest.port(port)?;
    connect_by(guest, host)
}

/// The same by a port of 127.0.0.1 that leads to it.
pub(crate) fn connect_by(guest: &mut Guest, host: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, host))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    guest.let_pass()?;
    Ok(stream)
}
