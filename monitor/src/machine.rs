//! The machine around the cores: a map's devices, plugged in.

use std::io::{self, Write};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::bell::Bell;
use crate::bus::{Bus, Device, Handle};
use crate::devices::{EmptyBus, Mc146818, Ns16550, Pl011, Pl031, Pl061};
use crate::line::{Line, Signal};
use crate::map::{ClockModel, Interrupt, Map, Serial, SerialModel};
use crate::memory::Ram;
use crate::outlet;
use crate::virtio::Plugged;

/// The interrupt controller, as devices are wired to it.
pub trait Wires {
    /// The wire of shared interrupt `spi`.
    fn wire(&self, spi: u32) -> Arc<dyn Line>;
}

/// The devices, as cores and the outside reach them.
#[derive(Debug)]
pub struct Machine {
    bus: Mutex<Bus>,
    bell: Bell,
    console: Option<Handle>,
    network: Option<Handle>,
    button: Option<Handle>,
    /// How the guest hears that the machine is another.
    changed: Vec<Signal>,
}

impl Machine {
    /// Plugs in the devices of `map`, and `plugged` into its first virtio slots.
    ///
    /// # Errors
    /// Two devices are in one place, there are fewer slots than devices, or this process has no
    /// descriptor left.
    pub fn new(map: &Map, wires: &dyn Wires, plugged: &Plugged, ram: &Ram) -> Result<Self> {
        let (mut bus, bell) = (Bus::default(), Bell::new()?);
        let signal = |it: Interrupt| Signal::new(wires.wire(it.spi), it.trigger());
        let mut ports = Vec::new();
        for (index, port) in map.serial.iter().enumerate() {
            let output: Box<dyn Write + Send> =
                if index == 0 { Box::new(outlet::console()?) } else { Box::new(io::sink()) };
            let device = serial(port, signal(port.interrupt), bell.clone(), output);
            ports.push(bus.add(port.address, port.size, device)?);
        }
        if let Some(clock) = &map.clock {
            let device: Box<dyn Device> = match clock.model {
                ClockModel::Pl031 => Box::new(Pl031::new()),
                ClockModel::Mc146818 => Box::new(Mc146818::default()),
            };
            bus.add(clock.address, clock.size, device)?;
        }
        if let Some(empty) = map.empty_bus {
            bus.add(empty.address, empty.size, Box::new(EmptyBus))?;
        }
        let mut button = None;
        if let Some(it) = &map.power_button {
            let device = Pl061::new(signal(it.interrupt), it.line);
            button = Some(bus.add(it.address, 0x1000, Box::new(device))?);
        }
        let network = plugged.plug(map, ram, &mut bus, &bell, &signal)?;
        let pages = map.generation.iter().chain(&map.vmclock);
        let changed = pages.map(|page| signal(page.interrupt)).collect();
        Ok(Self {
            bus: Mutex::new(bus),
            bell,
            console: ports.first().copied(),
            network,
            button,
            changed,
        })
    }

    /// The bus. A core that ended while it had the bus has not left it half-changed: no device
    /// unwinds.
    pub fn bus(&self) -> MutexGuard<'_, Bus> {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the console takes more. If not, the bell rings when it does.
    pub fn takes_more(&self) -> bool {
        let mut bus = self.bus();
        let console = self.console.and_then(|console| bus.device(console));
        console.is_none_or(|console| console.takes_more())
    }

    /// Hands the console what was typed.
    pub fn type_in(&self, typed: &[u8]) {
        let mut bus = self.bus();
        if let Some(console) = self.console.and_then(|console| bus.device(console)) {
            console.type_in(typed);
        }
    }

    /// Has the network interface take what has come in.
    pub fn receive(&self) {
        let _there_is_one = self.attend(self.network);
    }

    /// The descriptor that is readable when a device has left something undone.
    #[must_use]
    pub fn bell(&self) -> RawFd {
        self.bell.as_raw_fd()
    }

    /// Has the devices go on with it.
    pub fn carry_on(&self) {
        // Silenced first: what is left from here on rings again.
        if self.bell.was_rung() {
            self.bus().carry_on();
        }
    }

    /// Says that the machine is another, by [`crate::identity`].
    pub fn say_changed(&self) {
        self.changed.iter().for_each(Signal::raise);
    }

    /// Presses the power button. Returns whether there is one.
    pub fn press_power_button(&self) -> bool {
        self.attend(self.button)
    }

    fn attend(&self, handle: Option<Handle>) -> bool {
        let mut bus = self.bus();
        let device = handle.and_then(|handle| bus.device(handle));
        device.map(|device| device.attend()).is_some()
    }
}

fn serial(
    port: &Serial,
    signal: Signal,
    bell: Bell,
    output: Box<dyn Write + Send>,
) -> Box<dyn Device> {
    match port.model {
        SerialModel::Ns16550a => Box::new(Ns16550::new(signal, bell, port.register_shift, output)),
        SerialModel::Pl011 => Box::new(Pl011::new(signal, bell, output)),
    }
}
