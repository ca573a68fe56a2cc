//! An interface before it has an address.

use core::cell::RefCell;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use elone_gate::{
    self as gate, DeviceClass, DeviceInfo, Events, NetInfo, Network, Protections, Start, calls,
};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::socket::dns;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

use super::address::{self, Addresses, Static};
use super::port::Port;
use super::secret::Secret;
use super::stack::{self, Inner, Others, Stack};
use super::table::Table;
use super::{Limits, Net};
use crate::{Error, run};

/// Connections at a time, unless the application says otherwise.
const CONNECTIONS: u16 = 64;
/// Bytes of a connection's buffer, each way: a request and its answer, with room.
const BUFFER: usize = 4096;
/// Names that can be looked up at a time.
const QUERIES: usize = 4;

/// A network interface, to be configured. Nothing is sent, and the device stays unclaimed, until
/// one of the `configured` calls.
#[derive(Clone, Copy, Debug)]
#[must_use = "an interface does nothing until it is configured"]
pub struct NetBuilder {
    index: u8,
    setting: Network,
    protections: Protections,
    limits: Limits,
}

impl NetBuilder {
    pub(crate) const fn new(index: u8, start: &Start) -> Self {
        let limits =
            Limits { connections: CONNECTIONS, receive_buffer: BUFFER, transmit_buffer: BUFFER };
        Self { index, setting: start.network, protections: start.machine.protections, limits }
    }

    /// Sets how many TCP connections there may be at a time, in and out together: 64 unless set. A
    /// peer beyond that is refused. Memory for one is taken when it is first needed, and kept.
    pub const fn connections(mut self, most: u16) -> Self {
        self.limits.connections = if most == 0 { 1 } else { most };
        self
    }

    /// Sets how many bytes a TCP connection may have received that the application has not read
    /// yet, and how many it may have sent that were not acknowledged yet: 4,096 each unless set.
    /// What passes in a round trip is at most so much.
    pub const fn buffers(mut self, receive: usize, transmit: usize) -> Self {
        self.limits.receive_buffer = if receive == 0 { 1 } else { receive };
        self.limits.transmit_buffer = if transmit == 0 { 1 } else { transmit };
        self
    }

    /// Configures it as the operator's setting `ip=` says: by DHCP unless it names an address.
    ///
    /// # Errors
    /// Those of the call that it comes down to.
    pub async fn configured(self) -> Result<Net, Error> {
        match address::by_hand(&self.setting) {
            Some(wanted) => self.configured_statically(wanted).await,
            None => self.configured_by_dhcp().await,
        }
    }

    /// Asks for an address by DHCP and waits until there is one, however long that takes. It is
    /// renewed in the background; if it is lost, that is logged and another one asked for.
    ///
    /// # Errors
    /// [`Error::NoInterface`], [`gate::Error::Claimed`].
    pub async fn configured_by_dhcp(self) -> Result<Net, Error> {
        let stack = self.claim()?;
        stack.inner.borrow_mut().start_dhcp();
        stack.addressed().await;
        Ok(Net { stack })
    }

    /// Gives it the address that the application says.
    ///
    /// # Errors
    /// [`Error::BadAddress`] for an address that no interface can have, a prefix that is too long, or
    /// a gateway of another kind; else as [`Self::configured_by_dhcp`].
    #[expect(clippy::unused_async, reason = "as the other ways to configure it")]
    pub async fn configured_statically(self, wanted: Static) -> Result<Net, Error> {
        // First what can fail, so that a failure leaves the device unclaimed.
        wanted.check()?;
        let stack = self.claim()?;
        stack.inner.borrow_mut().configure(&wanted);
        Ok(Net { stack })
    }

    fn claim(&self) -> Result<&'static Stack, Error> {
        let info = match calls::device(DeviceClass::Net, self.index) {
            Ok(DeviceInfo::Net(info)) => info,
            Ok(_) | Err(gate::Error::NoSuchDevice) => return Err(Error::NoInterface),
            Err(error) => return Err(error.into()),
        };
        let inner = RefCell::new(self.assemble(info));
        let stack = Box::leak(Box::new(Stack { event: Events::device(info.handle), inner }));
        run::add(stack);
        Ok(stack)
    }

    fn assemble(&self, info: NetInfo) -> Inner {
        let mut port = Port::new(info);
        let mut secret = Secret::new(self.protections);
        let mac = EthernetAddress(info.mac);
        let mut config = Config::new(HardwareAddress::Ethernet(mac));
        // DHCP's ids come from this; what matters more does not (`secret`).
        config.random_seed = secret.word();
        let interface = Interface::new(config, &mut port, stack::instant(stack::now()));
        let mut set = SocketSet::new(Vec::new());
        let queries: Vec<_> = (0..QUERIES).map(|_| None).collect();
        let dns = set.add(dns::Socket::new(&[], queries));
        let link_local = Some(address::link_local(info.mac));
        let addresses = Addresses { link_local, dns: vec![], ..Addresses::default() };
        let (table, others) = (Table::new(self.limits), Others::new(set, dns));
        Inner::new(interface, port, secret, table, others, addresses)
    }
}
