//! For tests: an interface whose frames are kept.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, HardwareAddress, IpCidr, Ipv4Address,
};

const OWN: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const OWN_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const PEER: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const PEER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);

/// What was sent, and what is to arrive.
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub(super) frames: Vec<Vec<u8>>,
    arriving: Option<Vec<u8>>,
}

/// An interface with the address 10.0.2.15/24.
pub(super) fn interface(seed: u64, capture: &mut Capture) -> Interface {
    let mut config = Config::new(HardwareAddress::Ethernet(OWN_MAC));
    config.random_seed = seed;
    let mut interface = Interface::new(config, capture, Instant::ZERO);
    interface.update_ip_addrs(|list| list.push(IpCidr::new(OWN.into(), 24)).unwrap());
    interface
}

impl Capture {
    /// Tells the interface where 10.0.2.2 is; forgets what was sent until then.
    pub(super) fn introduce(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'_>) {
        let question = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: PEER_MAC,
            source_protocol_addr: PEER,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: OWN,
        };
        let mut frame = vec![0; 14 + question.buffer_len()];
        let (src_addr, dst_addr) = (PEER_MAC, EthernetAddress::BROADCAST);
        let header = EthernetRepr { src_addr, dst_addr, ethertype: EthernetProtocol::Arp };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
        question.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
        self.arriving = Some(frame);
        interface.poll_ingress_single(Instant::ZERO, self, sockets);
        self.frames.clear();
    }
}

impl Device for Capture {
    type RxToken<'a> = Arriving;
    type TxToken<'a> = Leaving<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arriving, Leaving<'_>)> {
        Some((Arriving(self.arriving.take()?), Leaving(&mut self.frames)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(&mut self.frames))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub(super) struct Arriving(Vec<u8>);

impl RxToken for Arriving {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub(super) struct Leaving<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.push(frame);
        result
    }
}
