//! Clients on this machine, connected to the guest through a forwarded port.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::Guest;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to the guest's TCP `port`.
///
/// The emulator takes a connection each time round its loop, and the system resets those that find
/// its queue of two full; so this returns only when the emulator has gone round. What is refused
/// from then on the guest has refused.
pub(crate) fn connect(guest: &mut Guest, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, guest.port(port)?))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    // A question is answered in the loop; the second one is not asked in the same turn.
    for _ in 0..2 {
        guest.qmp()?.execute("query-status", json!({}))?;
    }
    Ok(stream)
}
