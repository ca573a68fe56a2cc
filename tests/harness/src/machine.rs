//! A machine as it is described before it boots, and the emulator's command line that makes it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::wire::Wire;
use crate::{Board, Console, Forward, Guest};

/// A machine, not yet booted. Starts as its board says; each method changes one thing.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) board: Board,
    image: PathBuf,
    memory: u32,
    cpu: String,
    pub(crate) network: Network,
    disks: Vec<PathBuf>,
    entropy: Option<String>,
    settings: Vec<String>,
    resets: Resets,
    pub(crate) begin: Begin,
    arguments: Vec<String>,
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
            settings: Vec::new(),
            resets: Resets::End,
            begin: Begin::AtOnce,
            arguments: Vec::new(),
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

    /// The emulator's command line, with its sockets in `directory`.
    ///
    /// # Errors
    /// Settings were given, and the board has nobody to hand them over.
    pub fn command(&self, directory: &Path) -> Result<Command> {
        let mut command = Command::new(&self.board.emulator);
        let monitor = format!("socket,id=monitor,path={}", directory.join("monitor").display());
        command.args(["-nodefaults", "-display", "none", "-machine", &self.board.machine]);
        command.args(["-cpu", &self.cpu, "-m", &format!("{}M", self.memory)]);
        command.args(["-chardev", &monitor, "-mon", "chardev=monitor,mode=control"]);
        command.args(["-chardev", "stdio,id=console,signal=off"]);
        command.args(match self.board.console {
            Console::Serial => &["-serial", "chardev:console"][..],
            Console::Virtio => {
                &["-device", "virtio-serial-device", "-device", "virtconsole,chardev=console"]
            }
        });
        self.load(&mut command)?;
        self.plug_in(&mut command, directory);
        if self.resets == Resets::End {
            command.arg("-no-reboot");
        }
        command.args(&self.board.arguments).args(&self.arguments);
        Ok(command)
    }

    /// Has the image loaded, and the settings handed over.
    fn load(&self, command: &mut Command) -> Result<()> {
        let Some(address) = self.board.load_address else {
            command.arg("-kernel").arg(&self.image);
            if !self.settings.is_empty() {
                command.args(["-append", &self.settings.join(" ")]);
            }
            return Ok(());
        };
        self.board.takes(&self.settings)?;
        let image = escaped(&self.image);
        let loader = format!("loader,file={image},addr={address:#x},cpu-num=0,force-raw=on");
        command.args(["-device", &loader]);
        Ok(())
    }

    fn plug_in(&self, command: &mut Command, directory: &Path) {
        let devices = &self.board.devices;
        let netdev = match &self.network {
            Network::Absent => None,
            Network::User(forwards) => {
                let forwards = forwards.iter().map(|forward| format!(",hostfwd={forward}"));
                Some(format!("user{}", forwards.collect::<String>()))
            }
            Network::Wire => Some(Wire::argument(directory)),
        };
        if let Some(netdev) = netdev {
            // The id comes last: the first word is the kind.
            command.args(["-netdev", &format!("{netdev},id=net0")]);
            command.args(["-device", &format!("{},netdev=net0", devices.network)]);
        }
        // The emulator fills its slots from the last to the first, and guests count them by address:
        // plugged in backwards, the first disk is the guest's first.
        for (index, disk) in self.disks.iter().enumerate().rev() {
            let file = escaped(disk);
            let drive = format!("if=none,format=raw,file={file},id=disk{index}");
            command.args(["-drive", &drive]);
            command.args(["-device", &format!("{},drive=disk{index}", devices.disk)]);
        }
        if let Some(model) = &self.entropy {
            command.args(["-device", model]);
        }
    }
}

/// A path as a value in an option list of the emulator, where a comma is doubled.
fn escaped(path: &Path) -> String {
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
