//! The ready files, each a template that is read as what it makes (`deploy/templates`).
//!
//! Values are quoted as each language quotes, by a filter that the template names; a name that the
//! [`Machine`] does not have is an error, not a blank.

use anyhow::{Context, Result};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Value, json};

use super::folder::{Folder, Kind};
use super::machine::Machine;

/// Templates, and what they make of which kind; `{}` stands for the machine's name.
const TEMPLATES: &[(&str, &str, Kind)] = &[
    ("run", include_str!("templates/run.sh"), Kind::Script),
    ("{}.service", include_str!("templates/unit.service"), Kind::Text),
    ("tap.netdev", include_str!("templates/tap.netdev"), Kind::Text),
    ("tap.network", include_str!("templates/tap.network"), Kind::Text),
    ("libvirt.xml", include_str!("templates/libvirt.xml"), Kind::Text),
    ("kubevirt.yaml", include_str!("templates/kubevirt.yaml"), Kind::Text),
    ("Containerfile", include_str!("templates/Containerfile"), Kind::Text),
    ("nomad.hcl", include_str!("templates/nomad.hcl"), Kind::Text),
];

/// Writes every ready file of a machine.
pub(crate) fn write(machine: &Machine, folder: &Folder) -> Result<()> {
    for (name, template, kind) in TEMPLATES {
        let text = render(machine, template).with_context(|| format!("making {name}"))?;
        folder.text(&name.replace("{}", &machine.name), &text, *kind)?;
    }
    folder.json("firecracker.json", &firecracker(machine))
}

fn render(machine: &Machine, template: &str) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("shell", shell);
    environment.add_filter("xml", xml);
    environment.add_filter("json", quoted);
    environment.add_filter("unit_name", unit_name);
    // A template's last line loses its end.
    Ok(environment.render_str(template, Serde(machine))? + "\n")
}

/// What `firecracker --config-file` reads. Files are named as in the machine's work directory. On
/// arm64 it gives a machine its UART only where the settings have a `console=`, and no power button:
/// what the operator did not say otherwise, Ctrl-D on the console is.
fn firecracker(machine: &Machine) -> Value {
    let ends = machine.settings.split(' ').any(|word| word.starts_with("console-end="));
    let more = if ends { "" } else { " console-end=ctrl-d" };
    let gap = if machine.settings.is_empty() { "" } else { " " };
    let settings = format!("console=ttyS0{gap}{}{more}", machine.settings);
    json!({
        "boot-source": { "kernel_image_path": machine.image, "boot_args": settings },
        "machine-config": { "vcpu_count": 1, "mem_size_mib": machine.memory },
        "drives": [{
            "drive_id": "black-box",
            "path_on_host": "black-box",
            "is_root_device": false,
            "is_read_only": false,
        }],
        "network-interfaces": [{
            "iface_id": "net0",
            "guest_mac": machine.mac,
            "host_dev_name": machine.tap,
        }],
        "entropy": {},
    })
}

/// A word for a shell: as it is where nothing in it means anything, else in single quotes.
fn shell(word: String) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Text for an element or an attribute of XML.
fn xml(text: String) -> String {
    let escape = |letter| match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&apos;".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A string of JSON, which is one of YAML and of HCL too.
fn quoted(text: String) -> String {
    Value::String(text).to_string()
}

/// A part of the name of a unit of systemd: there a dash is a slash (systemd.unit(5)).
fn unit_name(text: String) -> String {
    text.replace('-', r"\x2d")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use yaml_rust2::{Yaml, YamlLoader};

    use super::*;
    use crate::deploy::settings;
    use crate::program;

    /// Words that mean something in each of the languages.
    const TRICKY: &str = "app.a=it's\"a\\$HOME`%n`${x}{{y}}%{z}&<b>#;|*~ log=info";

    fn of(name: &str) -> String {
        let machine = Machine::made_up("gateway", TRICKY);
        let found = TEMPLATES.iter().find(|(one, ..)| *one == name);
        render(&machine, found.unwrap().1).unwrap()
    }

    #[test]
    fn a_shell_reads_the_words_as_they_are() {
        for word in ["", "plain", "a b", "it's", TRICKY, "-x", "*", "~"] {
            let script = format!("printf %s {}", shell(word.to_owned()));
            let said = program::output(std::process::Command::new("sh").args(["-c", &script]));
            assert_eq!(said.unwrap(), word);
        }
    }

    #[test]
    fn every_template_has_all_it_names() {
        for (name, template, _) in TEMPLATES {
            let text = render(&Machine::made_up("a", ""), template).unwrap();
            assert!(text.ends_with('\n') && !text.contains("{%"), "{name}: {text}");
        }
    }

    #[test]
    fn the_manifest_for_a_cluster_is_yaml_with_the_settings_in_it() {
        let documents = YamlLoader::load_from_str(&of("kubevirt.yaml")).unwrap();
        assert_eq!(documents.len(), 1);
        let machine = &documents[0]["spec"]["template"]["spec"];
        assert_eq!(documents[0]["kind"].as_str(), Some("VirtualMachine"));
        assert_eq!(machine["architecture"].as_str(), Some("arm64"));
        assert_eq!(machine["domain"]["memory"]["guest"].as_str(), Some("64Mi"));
        let boot = &machine["domain"]["firmware"]["kernelBoot"];
        assert_eq!(boot["kernelArgs"].as_str(), Some(TRICKY));
        assert_eq!(boot["container"]["kernelPath"].as_str(), Some("/boot/gateway.img"));
        // An interface without its network is refused by the cluster.
        let name = |list: &Yaml| list[0]["name"].as_str().map(str::to_owned);
        let interface = name(&machine["domain"]["devices"]["interfaces"]);
        assert!(interface.is_some() && interface == name(&machine["networks"]));
        let copied =
            of("Containerfile").contains("COPY --chmod=0444 gateway.img /boot/gateway.img");
        assert!(copied);
    }

    #[test]
    fn the_job_is_one_of_hcl() {
        let job: Value = hcl::from_str(&of("nomad.hcl")).unwrap();
        let task = &job["job"]["gateway"]["group"]["machine"]["task"]["gateway"];
        assert_eq!(task["driver"], "raw_exec");
        assert_eq!(task["config"]["command"], "/opt/elone/gateway/run");
        assert_eq!(task["kill_timeout"], "45s");
        // Clients cut that short unless they are told (30 s by default), which the job cannot do.
        assert!(of("nomad.hcl").contains("max_kill_timeout = \"45s\""));
    }

    /// The one who started a machine has to tell what the script found wrong from what an
    /// application ends with, and applications end with small numbers.
    #[test]
    fn the_unit_gives_up_on_what_the_script_refuses() {
        let script = of("run");
        let (_, refusal) = script.split_once("refuse() {").unwrap();
        let (_, status) = refusal.split_once("    exit ").unwrap();
        assert_eq!(status.lines().next(), Some("78"));
        assert!(of("{}.service").contains("\nRestartPreventExitStatus=78 100\n"));
    }

    /// What Firecracker 1.17 knows in a configuration (its `src/firecracker/swagger`): what it does
    /// not know it refuses, and what is marked by a star it insists on.
    fn known() -> BTreeMap<&'static str, &'static [&'static str]> {
        BTreeMap::from([
            ("boot-source", &["*kernel_image_path", "boot_args", "initrd_path"][..]),
            (
                "machine-config",
                &["*vcpu_count", "*mem_size_mib", "smt", "track_dirty_pages", "huge_pages"],
            ),
            (
                "drives",
                &[
                    "*drive_id",
                    "*is_root_device",
                    "path_on_host",
                    "is_read_only",
                    "cache_type",
                    "io_engine",
                    "partuuid",
                    "rate_limiter",
                    "socket",
                ],
            ),
            (
                "network-interfaces",
                &["*iface_id", "*host_dev_name", "guest_mac", "rx_rate_limiter", "tx_rate_limiter"],
            ),
            ("entropy", &["rate_limiter"]),
        ])
    }

    #[test]
    fn firecracker_knows_every_field() {
        let known = known();
        let config = firecracker(&Machine::made_up("gateway", TRICKY));
        let words = config["boot-source"]["boot_args"].as_str().unwrap();
        assert_eq!(words, format!("console=ttyS0 {TRICKY} console-end=ctrl-d"));
        let cases = [
            ("", "console=ttyS0 console-end=ctrl-d"),
            ("console-end=off", "console=ttyS0 console-end=off"),
        ];
        for (settings, expected) in cases {
            let own = firecracker(&Machine::made_up("a", settings));
            assert_eq!(own["boot-source"]["boot_args"], expected);
            let words: Vec<_> = expected.split(' ').map(str::to_owned).collect();
            assert!(settings::line(&words).is_ok(), "the kernel complains of {expected}");
        }
        for (part, value) in config.as_object().unwrap() {
            let fields = known.get(&**part).unwrap_or_else(|| panic!("it does not know {part}"));
            let several = value.as_array().map(Vec::as_slice);
            for value in several.unwrap_or(std::slice::from_ref(value)) {
                let there = value.as_object().unwrap();
                for field in there.keys() {
                    let known = fields.iter().any(|one| one.trim_start_matches('*') == field);
                    assert!(known, "{part} has no {field}");
                }
                let needed = fields.iter().filter_map(|field| field.strip_prefix('*'));
                needed.for_each(|field| assert!(there.contains_key(field), "{part}: {field}"));
            }
        }
    }
}
