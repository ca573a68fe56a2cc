//! The peer at the other end of the cable: a second protocol stack, driven by the test's thread.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use elone::host::{Cable, Control, Machine, Plug};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{self, State};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

/// The machine under test and its peer are alone on this network.
pub(crate) const SETTING: &str = "ip=10.0.2.15/24,10.0.2.2,10.0.2.2";
pub(crate) const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub(crate) const PEER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 1, 1]);

/// Longer than anything here should take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a machine in a thread of its own, with its interface on `plug`.
pub(crate) fn boot<F>(settings: &str, plug: Plug, run: F) -> (Control, JoinHandle<u8>)
where
    F: FnOnce(Machine) -> u8 + Send + 'static,
{
    let machine = Machine::new(settings).net(plug);
    let control = machine.control();
    (control, thread::spawn(move || run(machine)))
}

pub(crate) struct Peer {
    pub(crate) interface: Interface,
    pub(crate) device: Wire,
    pub(crate) sockets: SocketSet<'static>,
    next_port: u16,
}

pub(crate) struct Wire {
    pub(crate) cable: Cable,
    /// The frames that arrived, where somebody wants to look at them.
    pub(crate) heard: Option<Vec<Vec<u8>>>,
    arrived: VecDeque<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(cable: &Cable) -> Self {
        Self::at(cable, IpCidr::Ipv4(Ipv4Cidr::new(PEER, 24)))
    }

    pub(crate) fn at(cable: &Cable, address: IpCidr) -> Self {
        let mut device = Wire { cable: cable.clone(), heard: None, arrived: VecDeque::new() };
        let mut config = Config::new(HardwareAddress::Ethernet(PEER_MAC));
        config.random_seed = 1;
        let mut interface = Interface::new(config, &mut device, now());
        interface.update_ip_addrs(|list| {
            list.push(address).unwrap();
        });
        Self { interface, device, sockets: SocketSet::new(vec![]), next_port: 40_000 }
    }

    /// Polls until `ready` gives something. Panics when it takes too long.
    pub(crate) fn until<R>(
        &mut self,
        what: &str,
        mut ready: impl FnMut(&mut Self) -> Option<R>,
    ) -> R {
        let end = Instant::now() + PATIENCE;
        loop {
            self.interface.poll(now(), &mut self.device, &mut self.sockets);
            if let Some(result) = ready(self) {
                self.interface.poll(now(), &mut self.device, &mut self.sockets);
                return result;
            }
            self.interface.poll(now(), &mut self.device, &mut self.sockets);
            assert!(Instant::now() < end, "{what}: took too long");
            let delay = self.interface.poll_delay(now(), &self.sockets);
            let delay = delay.map_or(Duration::from_millis(20), Duration::from);
            let delay = delay.min(Duration::from_millis(20));
            self.device.arrived.extend(self.device.cable.receive(delay));
        }
    }

    /// Polls for a while.
    pub(crate) fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.until("resting", |_| (Instant::now() >= end).then_some(()));
    }

    pub(crate) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Begins to connect.
    pub(crate) fn dial(&mut self, port: u16) -> SocketHandle {
        let from = self.next_port;
        self.next_port = if from == 60_000 { 40_000 } else { from + 1 };
        self.dial_to(from, MACHINE.into(), port)
    }

    pub(crate) fn dial_to(&mut self, from: u16, to: IpAddr, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 16 * 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.connect(self.interface.context(), (to, port), from).unwrap();
        self.sockets.add(socket)
    }

    pub(crate) fn connect(&mut self, port: u16) -> SocketHandle {
        let handle = self.dial(port);
        assert!(self.is_connected(handle), "refused");
        handle
    }

    /// Waits for what becomes of a connection: whether it is open, or was refused.
    pub(crate) fn is_connected(&mut self, handle: SocketHandle) -> bool {
        self.until("connecting", |peer| match peer.tcp(handle).state() {
            State::SynSent => None,
            State::Closed => Some(false),
            _ => Some(true),
        })
    }

    /// Sends `bytes` and expects them back unchanged.
    pub(crate) fn exchange(&mut self, handle: SocketHandle, bytes: &[u8]) {
        let (mut sent, mut back) = (0, 0);
        self.until("exchanging", |peer| {
            let socket = peer.tcp(handle);
            assert!(socket.may_send(), "the machine closed in {}", socket.state());
            sent += socket.send_slice(&bytes[sent..]).unwrap();
            while socket.can_recv() {
                let length = socket
                    .recv(|part| {
                        assert_eq!(part, &bytes[back..back + part.len()], "at {back}");
                        (part.len(), part.len())
                    })
                    .unwrap();
                back += length;
            }
            (back == bytes.len()).then_some(())
        });
    }

    /// Closes, waits until the machine has closed too, and forgets the socket.
    pub(crate) fn close(&mut self, handle: SocketHandle) {
        self.tcp(handle).close();
        self.until("closing", |peer| {
            let state = peer.tcp(handle).state();
            matches!(state, State::TimeWait | State::Closed).then_some(())
        });
        self.sockets.remove(handle);
    }

    /// Ends a connection with a reset.
    pub(crate) fn abort(&mut self, handle: SocketHandle) {
        self.tcp(handle).abort();
        self.until("aborting", |peer| peer.tcp(handle).remote_endpoint().is_none().then_some(()));
        self.sockets.remove(handle);
    }
}

pub(crate) fn now() -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(
        i64::try_from(elone::time::Instant::now().as_micros()).unwrap(),
    )
}

/// Bytes that differ wherever they are.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| at.to_le_bytes().iter().fold(0, |all, byte| all ^ byte)).collect()
}

impl phy::Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        self.arrived.extend(self.cable.receive(Duration::ZERO));
        let frame = self.arrived.pop_front()?;
        if let Some(heard) = &mut self.heard {
            heard.push(frame.clone());
        }
        Some((Received(frame), Sending(&self.cable)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        Some(Sending(&self.cable))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub(crate) struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub(crate) struct Sending<'a>(&'a Cable);

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.send(frame);
        result
    }
}
