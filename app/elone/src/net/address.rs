//! The interface's addresses: where they come from, and what becomes of them.

use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::task::Poll;

use alloc::vec::Vec;
use elone_gate::Network;
use smoltcp::socket::{dhcpv4, dns};
use smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

use super::stack::{Inner, Stack};
use crate::Error;
use crate::time::{Duration, with_timeout};

/// When to say that nobody answers.
const SILENCE: Duration = Duration::from_secs(10);

/// How an interface is set up by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Static {
    /// The interface's address.
    pub address: IpAddr,
    /// The length of the network's prefix, in bits.
    pub prefix: u8,
    /// Where packets to other networks go.
    pub gateway: Option<IpAddr>,
    /// Who resolves names.
    pub dns: Option<IpAddr>,
}

impl Static {
    /// Whether an interface can have this.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_unicast = !self.address.is_unspecified() && !self.address.is_multicast();
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        let fits = self.gateway.is_none_or(|to| to.is_ipv4() == self.address.is_ipv4());
        if is_unicast && self.prefix <= longest && fits { Ok(()) } else { Err(Error::BadAddress) }
    }
}

/// What the interface goes by now.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    pub(super) ipv4: Option<Ipv4Cidr>,
    pub(super) ipv6: Option<Ipv6Cidr>,
    pub(super) link_local: Option<Ipv6Addr>,
    pub(super) gateway: Option<IpAddr>,
    pub(super) dns: Vec<IpAddr>,
}

impl Addresses {
    /// The one that peers elsewhere know.
    pub(super) fn best(&self) -> IpAddr {
        let ipv4 = self.ipv4.map(|cidr| IpAddr::V4(cidr.address()));
        let ipv6 = self.ipv6.map(|cidr| IpAddr::V6(cidr.address()));
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        ipv4.or(ipv6).or(self.link_local.map(IpAddr::V6)).unwrap_or(any)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = IpAddr> {
        let ipv4 = self.ipv4.map(|cidr| IpAddr::V4(cidr.address()));
        let ipv6 = self.ipv6.map(|cidr| IpAddr::V6(cidr.address()));
        ipv4.into_iter().chain(ipv6).chain(self.link_local.map(IpAddr::V6))
    }
}

/// The link-local address that belongs to a hardware address (RFC 4291, appendix A).
pub(super) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let pair = |high, low| u16::from_be_bytes([high, low]);
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

impl Inner {
    /// Puts the addresses into force, and wakes whoever waits for one.
    fn apply(&mut self) {
        let Self { interface, addresses, others, table, waiting, .. } = self;
        let local = addresses.link_local.map(|address| IpCidr::Ipv6(Ipv6Cidr::new(address, 64)));
        let all = addresses.ipv4.map(IpCidr::Ipv4).into_iter();
        let all = all.chain(addresses.ipv6.map(IpCidr::Ipv6)).chain(local);
        interface.update_ip_addrs(|list| {
            list.clear();
            // There is room for four; these are three.
            list.extend(all);
        });
        let routes = interface.routes_mut();
        routes.remove_default_ipv4_route();
        routes.remove_default_ipv6_route();
        // There is room for both.
        let _ = match addresses.gateway {
            Some(IpAddr::V4(gateway)) => routes.add_default_ipv4_route(gateway).err(),
            Some(IpAddr::V6(gateway)) => routes.add_default_ipv6_route(gateway).err(),
            None => None,
        };
        let servers: Vec<_> = addresses.dns.iter().map(|&server| server.into()).collect();
        others.set.get_mut::<dns::Socket<'_>>(others.dns).update_servers(&servers);
        table.mark_all();
        waiting.wake();
    }

    /// Sets the interface up by hand, with what was [checked](Static::check).
    pub(super) fn configure(&mut self, wanted: &Static) {
        match wanted.address {
            IpAddr::V4(address) => {
                self.addresses.ipv4 = Some(Ipv4Cidr::new(address, wanted.prefix))
            }
            IpAddr::V6(address) => {
                self.addresses.ipv6 = Some(Ipv6Cidr::new(address, wanted.prefix))
            }
        }
        self.addresses.gateway = wanted.gateway;
        self.addresses.dns = wanted.dns.into_iter().collect();
        self.apply();
    }

    /// Begins to ask for an address, and keeps it for as long as the server lets it.
    pub(super) fn start_dhcp(&mut self) {
        if self.others.dhcp.is_none() {
            let mut socket = dhcpv4::Socket::new();
            let mut retry = dhcpv4::RetryConfig::default();
            // A lost first packet must not cost ten seconds of every boot.
            retry.discover_timeout = smoltcp::time::Duration::from_secs(2);
            retry.initial_request_timeout = smoltcp::time::Duration::from_secs(2);
            socket.set_retry_config(retry);
            self.others.dhcp = Some(self.others.set.add(socket));
            self.others.marked = true;
            // The link-local address needs nobody's leave.
            self.apply();
        }
    }

    /// Does as the server says, if it said something.
    pub(super) fn follow_lease(&mut self) {
        let Some(handle) = self.others.dhcp else { return };
        match self.others.set.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
            None => {}
            Some(dhcpv4::Event::Configured(lease)) => {
                let dns: Vec<_> = lease.dns_servers.iter().map(|&server| server.into()).collect();
                let gateway = lease.router.map(IpAddr::V4);
                let is_news = self.addresses.ipv4 != Some(lease.address)
                    || self.addresses.gateway != gateway
                    || self.addresses.dns != dns;
                if is_news {
                    self.addresses.ipv4 = Some(lease.address);
                    self.addresses.gateway = gateway;
                    self.addresses.dns = dns;
                    match lease.router {
                        Some(to) => log::info!("address {} by DHCP, gateway {to}", lease.address),
                        None => log::info!("address {} by DHCP, no gateway", lease.address),
                    }
                    self.apply();
                }
            }
            Some(dhcpv4::Event::Deconfigured) => {
                if let Some(address) = self.addresses.ipv4.take() {
                    log::warn!("address {address} lost: the lease ended; asking for another");
                    self.addresses.gateway = None;
                    self.addresses.dns.clear();
                    self.apply();
                }
            }
        }
    }
}

impl Stack {
    /// Waits for an IPv4 address, however long it takes; says so when it takes long.
    pub(super) async fn addressed(&self) {
        while with_timeout(SILENCE, self.address_there()).await.is_err() {
            log::warn!("no answer from a DHCP server so far; still asking");
        }
    }

    async fn address_there(&self) {
        poll_fn(|context| {
            let mut inner = self.inner.borrow_mut();
            if inner.addresses.ipv4.is_some() {
                return Poll::Ready(());
            }
            inner.waiting.add(context);
            Poll::Pending
        })
        .await;
    }
}

/// The setting, where it is an address.
pub(super) const fn by_hand(setting: &Network) -> Option<Static> {
    match *setting {
        Network::Dhcp => None,
        Network::Static { address, prefix, gateway, dns } => {
            Some(Static { address, prefix, gateway, dns })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_is_made_as_in_the_rfc() {
        let address = link_local([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
        assert_eq!(address, "fe80::5054:ff:fe12:3456".parse::<Ipv6Addr>().unwrap());
    }
}
