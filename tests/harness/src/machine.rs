//! A machine as it is described before it boots, and the emulator's command line that makes it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use crate::place::Surroundings;
use crate::xen::{Domain, Module};
use crate::{Board, Console, Forward, Guest, HandOver, Host, Hosts};

/// A machine, not yet booted. Starts as its board says; each method changes one thing.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) board: Board,
    pub(crate) image: PathBuf,
    memory: u32,
    cpu: String,
    pub(crate) network: Network,
    disks: Vec<PathBuf>,
    entropy: Option<String>,
    pub(crate) settings: Vec<String>,
    resets: Resets,
    pub(crate) begin: Begin,
    arguments: Vec<String>,
    pub(crate) hosts: Option<Arc<Hosts>>,
    /// The program that loads the image where firmware is UEFI.
    pub(crate) loader: Option<PathBuf>,
    /// The directory whose files its network's server hands out (TFTP).
    pub(crate) served: Option<PathBuf>,
}

/// Who lets a machine run that has been set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    AtOnce,
    /// Somebody else, by the monitor or a debugger.
    Held,
}

/// What the machine's network interface leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// There is no interface.
    Absent,
    /// A network of its own (10.0.2.0/24, gateway 10.0.2.2, DNS 10.0.2.3, DHCP), and ports of
    /// 127.0.0.1 that lead into it.
    User(Vec<Forward>),
    /// The test, frame by frame, through [`Guest::wire`].
    Wire,
}

/// What becomes of a machine that resets itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resets {
    /// It ends, and the [`Ending`](crate::Ending) says so.
    End,
    /// It boots again.
    Reboot,
}

impl Machine {
    /// A machine that boots `image` on `board`: with an entropy source if the board has one, on a
    /// network without forwards, without a disk. A reset ends it.
    #[must_use]
    pub fn new(board: &Board, image: &Path) -> Self {
        Self {
            board: board.clone(),
            image: image.to_owned(),
            memory: board.memory,
            cpu: board.cpu.clone(),
            network: Network::User(Vec::new()),
            disks: Vec::new(),
            entropy: board.devices.entropy.clone(),
            settings: board.settings.clone(),
            resets: Resets::End,
            begin: Begin::AtOnce,
            arguments: Vec::new(),
            hosts: None,
            loader: None,
            served: None,
        }
    }

    /// With this much memory, in MiB.
    #[must_use]
    pub fn memory(mut self, mebibytes: u32) -> Self {
        self.memory = mebibytes;
        self
    }

    /// With another processor model, as the emulator's `-cpu` takes it.
    #[must_use]
    pub fn cpu(mut self, model: &str) -> Self {
        model.clone_into(&mut self.cpu);
        self
    }

    /// With its interface led somewhere else.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// With one more disk, whose contents are the file's.
    #[must_use]
    pub fn disk(mut self, file: &Path) -> Self {
        self.disks.push(file.to_owned());
        self
    }

    /// Without a virtio entropy source.
    #[must_use]
    pub fn without_entropy(mut self) -> Self {
        self.entropy = None;
        self
    }

    /// With one more setting, `key=value`.
    #[must_use]
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// With resets treated differently.
    #[must_use]
    pub fn resets(mut self, resets: Resets) -> Self {
        self.resets = resets;
        self
    }

    /// Held before its first instruction, until a debugger lets it run.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.begin = Begin::Held;
        self
    }

    /// With one more argument for the emulator, as it is.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// As another board would have it launched, image and devices apart.
    #[must_use]
    pub fn with_board(mut self, board: &Board) -> Self {
        self.board = board.clone();
        self
    }

    /// On a host of these, if its board has one.
    #[must_use]
    pub fn on(mut self, hosts: &Arc<Hosts>) -> Self {
        self.hosts = Some(Arc::clone(hosts));
        self
    }

    /// The host that its emulator runs on, brought up if it has to be; `None` for this machine.
    pub(crate) fn host(&self) -> Result<Option<Arc<Host>>> {
        let Some(name) = &self.board.host else { return Ok(None) };
        let hosts = self.hosts.as_ref();
        let hosts = hosts.with_context(|| format!("{} takes a host", self.board.name))?;
        hosts.host(name).map(Some)
    }

    /// The files that its emulator reads.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.image].into_iter().chain(&self.disks).map(PathBuf::as_path)
    }

    /// The files that its emulator may write.
    pub(crate) fn disks(&self) -> &[PathBuf] {
        &self.disks
    }

    /// Boots it. Its console is captured.
    ///
    /// # Errors
    /// The emulator is not there, or refuses the machine (the message says why).
    pub fn boot(self) -> Result<Guest> {
        Guest::start(&self, None)
    }

    /// Boots it, and passes its console on to `echo` as well.
    ///
    /// # Errors
    /// As [`boot`](Self::boot).
    pub fn boot_with_echo(self, echo: Box<dyn std::io::Write + Send>) -> Result<Guest> {
        Guest::start(&self, Some(echo))
    }

    /// The emulator's command line on this machine, with its sockets in `directory`.
    ///
    /// # Errors
    /// Settings were given, and the board has nobody to hand them over.
    pub fn command(&self, directory: &Path) -> Result<Command> {
        let machine = self.by_firmware(directory)?;
        machine.below_xen(directory)?.command_in(&Surroundings::here(directory))
    }

    /// The machine as the emulator is to make it: where there is Xen on it, that is what boots, and the
    /// image is a module of Xen's. Its files go into `directory`.
    pub(crate) fn below_xen(&self, directory: &Path) -> Result<Cow<'_, Self>> {
        let Some(domain) = Domain::of(&self.board) else { return Ok(Cow::Borrowed(self)) };
        let hosts = self.hosts.as_ref();
        let hosts = hosts.with_context(|| format!("{} takes Xen", self.board.name))?;
        let settings = self.settings.join(" ");
        let (image, memory) = (&self.image, self.memory);
        let module = Module { domain, image, settings: &settings, memory };
        let tree = module.write_tree(&self.board, &self.cpu, directory)?;
        let (image, address) = (escaped(image), module.address());
        let mut machine = self.clone().memory(module.of_machine());
        machine.board.hand_over = HandOver::Kernel;
        machine.image = hosts.xen()?;
        machine.settings = Vec::new();
        let loader = format!("loader,file={image},addr={address:#x},force-raw=on");
        for argument in ["-dtb", &tree.display().to_string(), "-device", &loader] {
            machine = machine.argument(argument);
        }
        Ok(Cow::Owned(machine))
    }

    /// The emulator's command line wherever it runs.
    pub(crate) fn command_in(&self, place: &Surroundings) -> Result<Command> {
        let mut command = Command::new(&self.board.emulator);
        let monitor = format!("socket,id=monitor,{}", place.monitor);
        command.args(["-nodefaults", "-display", "none", "-machine", &self.board.machine]);
        command.args(["-cpu", &self.cpu, "-m", &format!("{}M", self.memory)]);
        command.args(["-chardev", &monitor, "-mon", "chardev=monitor,mode=control"]);
        command.args(["-chardev", "stdio,id=console,signal=off"]);
        command.args(match self.board.console {
            Console::Serial => &["-serial", "chardev:console"][..],
            Console::SecondSerial => &["-serial", "null", "-serial", "chardev:console"],
            Console::Virtio => {
                &["-device", "virtio-serial-device", "-device", "virtconsole,chardev=console"]
            }
        });
        self.load(&mut command, place)?;
        self.plug_in(&mut command, place)?;
        if self.resets == Resets::End {
            command.arg("-no-reboot");
        }
        command.args(&self.board.arguments).args(&self.arguments);
        Ok(command)
    }

    /// Has the image loaded, and the settings handed over.
    fn load(&self, command: &mut Command, place: &Surroundings) -> Result<()> {
        self.board.takes(&self.settings)?;
        let tree = self.tree()?.map(|file| place.path(&file));
        match (self.board.load_address, self.board.hand_over) {
            // Xen itself is a kernel to the emulator, see `below_xen`.
            (None, HandOver::Kernel | HandOver::XenGuest | HandOver::XenHardware) => {
                command.arg("-kernel").arg(place.path(&self.image));
                if !self.settings.is_empty() {
                    command.args(["-append", &self.settings.join(" ")]);
                }
            }
            // These as well: what boots the image is firmware, see `by_firmware`.
            (None, HandOver::UBoot | HandOver::UBootDisk | HandOver::Uefi) => {
                bail!("{} is booted by firmware, which is not tried on a host", self.board.name)
            }
            (None, HandOver::Bios) => drop(command.arg("-bios").arg(place.path(&self.image))),
            (Some(address), _) => {
                let image = escaped(&place.path(&self.image));
                let loader =
                    format!("loader,file={image},addr={address:#x},cpu-num=0,force-raw=on");
                command.args(["-device", &loader]);
            }
        }
        // The emulator fills in what memory there is. Where it hands the tree over to nobody, it leaves
        // it at the start of that: there the early facts have to say that it lies.
        if let Some(tree) = tree {
            command.arg("-dtb").arg(tree);
        }
        Ok(())
    }

    /// The file with its device tree, where the emulator does not make one.
    fn tree(&self) -> Result<Option<PathBuf>> {
        let Some(source) = &self.board.tree else { return Ok(None) };
        let hosts = self.hosts.as_ref();
        let hosts = hosts.with_context(|| format!("{} takes a device tree", self.board.name))?;
        hosts.tree(source).map(Some)
    }

    fn plug_in(&self, command: &mut Command, place: &Surroundings) -> Result<()> {
        let devices = &self.board.devices;
        let missing = |what| format!("{} has no {what}", self.board.name);
        let netdev = match &self.network {
            Network::Absent | Network::Wire if self.served.is_some() => {
                bail!("{} boots over the network that it makes itself", self.board.name)
            }
            Network::Absent => None,
            Network::User(forwards) if devices.network.is_none() && forwards.is_empty() => None,
            Network::User(forwards) => {
                let forwards = forwards.iter();
                let forwards = forwards.map(|one| format!(",hostfwd={}", one.at(place.address)));
                let served = self.served.as_deref().map(escaped);
                let served = served.map(|place| format!(",tftp={place}")).unwrap_or_default();
                Some(format!("user{served}{}", forwards.collect::<String>()))
            }
            Network::Wire => Some(place.wire()?.to_owned()),
        };
        if let Some(netdev) = netdev {
            // The id comes last: the first word is the kind.
            command.args(["-netdev", &format!("{netdev},id=net0")]);
            let model = devices.network.as_ref().with_context(|| missing("network"))?;
            command.args(["-device", &format!("{model},netdev=net0")]);
        }
        // The emulator fills its slots from the last to the first, and guests count them by address:
        // plugged in backwards, the first disk is the guest's first.
        for (index, disk) in self.disks.iter().enumerate().rev() {
            let file = escaped(&place.path(disk));
            let drive = format!("if=none,format=raw,file={file},id=disk{index}");
            command.args(["-drive", &drive]);
            let model = devices.disk.as_ref().with_context(|| missing("disk"))?;
            command.args(["-device", &format!("{model},drive=disk{index}")]);
        }
        if let Some(model) = &self.entropy {
            command.args(["-device", model]);
        }
        Ok(())
    }
}

/// A path as a value in an option list of the emulator, where a comma is doubled.
pub(crate) fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(board: &str) -> Machine {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        Machine::new(&Board::find(&boards, board).unwrap(), Path::new("/i,mage"))
    }

    fn line(machine: &Machine) -> String {
        let command = machine.command(Path::new("/d")).unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn a_board_is_booted_as_linux_or_entered_bare() {
        let booted = line(&machine("qemu-virt").setting("ip=dhcp").setting("log=debug"));
        assert!(booted.contains("-kernel /i,mage -append ip=dhcp log=debug"), "{booted}");
        let bare = line(&machine("qemu-virt-el3"));
        assert!(bare.contains("file=/i,,mage,addr=0x40200000,cpu-num=0"), "{bare}");
        assert!(!bare.contains("-kernel"), "{bare}");
        let refused = machine("qemu-virt-el3").setting("ip=dhcp").command(Path::new("/d"));
        assert!(refused.is_err());
    }

    #[test]
    fn a_tree_is_handed_over_or_lies_where_the_facts_say() {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let hosts = Arc::new(Hosts::new(&boards, Path::new("/no/such/cache")));
        let on = |name: &str| {
            let mut machine = machine(name).on(&hosts);
            machine.board.tree = Some(crate::TreeSource::File("qemu-virt.toml".into()));
            machine
        };
        let handed = line(&on("qemu-virt"));
        assert!(handed.contains("-dtb ") && handed.contains("boards/qemu-virt.toml"), "{handed}");
        let placed = line(&on("qemu-virt-el3"));
        assert!(placed.contains("-dtb ") && placed.contains("addr=0x40200000"), "{placed}");
        let mut firmware = machine("qemu-virt");
        firmware.board.hand_over = HandOver::Bios;
        assert!(line(&firmware).contains("-bios /i,mage"));
        let mut nowhere = on("qemu-virt");
        nowhere.board.tree = Some(crate::TreeSource::File("no-such-file".into()));
        assert!(nowhere.command(Path::new("/d")).is_err());
    }

    #[test]
    fn what_cannot_be_plugged_in_is_refused() {
        let mut bare = machine("qemu-virt");
        bare.board.devices = crate::Devices::default();
        bare.entropy = None;
        assert!(!line(&bare).contains("netdev"));
        let forward = Network::User(vec![Forward::tcp(80)]);
        for machine in [bare.clone().network(forward), bare.disk(Path::new("/a"))] {
            let error = machine.command(Path::new("/d")).unwrap_err();
            assert!(error.to_string().contains("qemu-virt has no "), "{error}");
        }
    }

    #[test]
    fn elsewhere_files_sockets_and_ports_are_elsewhere() {
        let place = Surroundings {
            monitor: "host=10.0.2.2,port=9".to_owned(),
            root: "/run/3".into(),
            address: "",
            wire: None,
        };
        let forward = Network::User(vec![Forward::tcp(80)]);
        let machine = machine("kvm").network(forward).disk(Path::new("/a"));
        let command = machine.command_in(&place).unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let line = words.join(" ");
        for part in [
            "-accel kvm",
            "-cpu host",
            "-chardev socket,id=monitor,host=10.0.2.2,port=9",
            "-kernel /run/3/i,mage",
            "file=/run/3/a,id=disk0",
            "user,hostfwd=tcp::0-:80,id=net0",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(machine.network(Network::Wire).command_in(&place).is_err());
    }

    #[test]
    fn devices_are_those_asked_for() {
        let none = line(&machine("qemu-virt").network(Network::Absent).without_entropy());
        assert!(!none.contains("virtio-"), "{none}");
        let forward = Network::User(vec![Forward::tcp(80)]);
        let all = line(&machine("qemu-virt").network(forward).disk(Path::new("/a,b")));
        for part in ["user,hostfwd=tcp:127.0.0.1:0-:80,id=net0", "file=/a,,b,id=disk0", "rng"] {
            assert!(all.contains(part), "{part} is not in {all}");
        }
    }
}
