//! The traits of edge-nal, through which protocol crates use the network.

use core::net::{IpAddr, SocketAddr};

use edge_nal::{
    AddrType, Close, Dns, TcpAccept, TcpBind, TcpConnect, TcpShutdown, TcpSplit, UdpBind,
};
use embedded_io_async::Read;
use smoltcp::wire::DnsQueryType;

use super::{Listener, Net, TcpReader, TcpSocket, TcpWriter, UdpSocket};
use crate::Error;

impl TcpBind for Net {
    type Error = Error;
    type Accept<'a> = Listener;

    /// Listens on every address: one that is not unspecified must be this interface's.
    async fn bind(&self, local: SocketAddr) -> Result<Listener, Error> {
        if !local.ip().is_unspecified() && !self.addresses().contains(&local.ip()) {
            return Err(Error::NoAddress);
        }
        self.bind(local.port()).await
    }
}

impl TcpAccept for Listener {
    type Error = Error;
    type Socket<'a> = TcpSocket;

    async fn accept(&self) -> Result<(SocketAddr, TcpSocket), Error> {
        self.accept().await
    }
}

impl TcpConnect for Net {
    type Error = Error;
    type Socket<'a> = TcpSocket;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpSocket, Error> {
        self.connect(remote).await
    }
}

impl TcpSplit for TcpSocket {
    type Read<'a> = TcpReader<'a>;
    type Write<'a> = TcpWriter<'a>;

    fn split(&mut self) -> (TcpReader<'_>, TcpWriter<'_>) {
        self.split()
    }
}

impl TcpShutdown for TcpSocket {
    async fn close(&mut self, what: Close) -> Result<(), Error> {
        if matches!(what, Close::Write | Close::Both) {
            self.close().await?;
        }
        if matches!(what, Close::Read | Close::Both) {
            while self.read(&mut [0; 256]).await? > 0 {}
        }
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.abort();
        Ok(())
    }
}

impl UdpBind for Net {
    type Error = Error;
    type Socket<'a> = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        self.bind_udp(local).await
    }
}

impl Dns for Net {
    type Error = Error;

    async fn get_host_by_name(&self, host: &str, kind: AddrType) -> Result<IpAddr, Error> {
        match kind {
            AddrType::IPv4 => self.query(host, DnsQueryType::A).await,
            AddrType::IPv6 => self.query(host, DnsQueryType::Aaaa).await,
            AddrType::Either => self.resolve(host).await,
        }
    }

    /// Not done: smoltcp asks for addresses only.
    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Error> {
        Err(Error::Unsupported)
    }
}
