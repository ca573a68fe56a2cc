//! Ports of this machine that lead into the guest. Always on 127.0.0.1: a guest under test is
//! nobody else's business.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::str::FromStr;

/// What is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// The name that the emulator takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of 127.0.0.1 that leads to a port of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// What is forwarded.
    pub protocol: Protocol,
    /// The port on 127.0.0.1; 0 for any that is free.
    pub host: u16,
    /// The port on the guest.
    pub guest: u16,
}

impl Forward {
    /// A free port for connections to the guest's `port`; [`Guest::port`](crate::Guest::port) says
    /// which it became.
    #[must_use]
    pub const fn tcp(port: u16) -> Self {
        Self { protocol: Protocol::Tcp, host: 0, guest: port }
    }

    /// A free port for datagrams to the guest's `port`.
    #[must_use]
    pub const fn udp(port: u16) -> Self {
        Self { protocol: Protocol::Udp, host: 0, guest: port }
    }

    /// As the emulator takes it, where it is to listen at `address`; at all there are if it is empty.
    pub(crate) fn at(self, address: &str) -> String {
        format!("{}:{address}:{}-:{}", self.protocol.name(), self.host, self.guest)
    }

    /// Asks whether the port can be had now, so that a port in use is told before anything boots.
    ///
    /// # Errors
    /// What the system says against it.
    pub fn check_free(self) -> io::Result<()> {
        let address = (Ipv4Addr::LOCALHOST, self.host);
        match self.protocol {
            Protocol::Tcp => TcpListener::bind(address).map(drop),
            Protocol::Udp => UdpSocket::bind(address).map(drop),
        }
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at("127.0.0.1"))
    }
}

/// `HOST:GUEST`, or `udp:HOST:GUEST`.
impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (protocol, ports) = match text.split_once(':') {
            Some(("tcp", ports)) => (Protocol::Tcp, ports),
            Some(("udp", ports)) => (Protocol::Udp, ports),
            _ => (Protocol::Tcp, text),
        };
        let (host, guest) =
            ports.split_once(':').ok_or("it takes the form HOST:GUEST, for example 8080:80")?;
        let port = |name: &str, digits: &str| match digits.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("the {name} port {digits:?} is not a number from 1 to 65535")),
        };
        Ok(Self { protocol, host: port("host", host)?, guest: port("guest", guest)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ports_are_named() {
        let forward: Forward = "8080:80".parse().unwrap();
        assert_eq!(forward, Forward { protocol: Protocol::Tcp, host: 8080, guest: 80 });
        assert_eq!("udp:5353:53".parse::<Forward>().unwrap().protocol, Protocol::Udp);
        for (wrong, mention) in [("80", "HOST:GUEST"), ("x:80", "host"), ("80:70000", "guest")] {
            let message = wrong.parse::<Forward>().unwrap_err();
            assert!(message.contains(mention), "{message}");
        }
    }

    #[test]
    fn a_port_in_use_is_noticed() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = taken.local_addr().unwrap().port();
        let forward = Forward { protocol: Protocol::Tcp, host, guest: 80 };
        assert_eq!(forward.check_free().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(taken);
        assert!(forward.check_free().is_ok());
    }
}
