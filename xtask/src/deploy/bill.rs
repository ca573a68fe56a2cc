//! The bill of materials: every crate of which there may be code in the image, with its licence, in
//! the form of CycloneDX 1.5.
//!
//! Cargo is asked what it resolves for the target, with the features that this application takes:
//! what runs on the building machine alone (procedural macros, build scripts, tests) is not in it.
//! The standard library's crates are, as they are built along.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elone_harness::Mode;
use serde_json::{Value, json};

use super::machine::Machine;
use super::manifest::Built;
use crate::program;
use crate::target;
use crate::toolchain::Toolchain;
use crate::workspace::{Program, Workspace};

/// What linked programs are made of.
#[derive(Debug)]
pub(crate) struct Bill {
    pub(crate) crates: BTreeMap<Name, Crate>,
}

/// A crate, and its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// What is said of a crate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crate {
    /// An expression of SPDX.
    licence: String,
    description: String,
    /// Of the package as the registry has it; sources of this repository have none.
    sha256: Option<String>,
    /// Where it comes from.
    origin: Origin,
    uses: BTreeSet<Name>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Origin {
    #[default]
    Repository,
    Registry,
    Toolchain,
}

/// The standard library's crates that are built into images.
const STANDARD: [&str; 3] = ["alloc", "compiler_builtins", "core"];
/// Under which all of it is (COPYRIGHT in the compiler's sources); what of `compiler_builtins` is
/// taken from LLVM is under its licence too.
const STANDARD_LICENCE: &str = "MIT OR Apache-2.0";
const BUILTINS_LICENCE: &str = "MIT AND Apache-2.0 WITH LLVM-exception AND (MIT OR Apache-2.0)";

/// What an application's image is made of.
pub(crate) fn of(
    workspace: &Workspace,
    program: &Program,
    mode: Mode,
    toolchain: &Toolchain,
) -> Result<Bill> {
    let mut crates = BTreeMap::new();
    // Contained, the two are resolved apart, as they are linked.
    let roots: &[&str] = match mode {
        Mode::Joined => &[&program.package],
        Mode::Contained => &[&program.package, "elone-kernel"],
    };
    for root in roots {
        tree(&resolved(workspace, root, mode, toolchain)?, &mut crates)?;
    }
    describe(workspace, &mut crates)?;
    let version = toolchain.version.split_whitespace().nth(1).unwrap_or_default().to_owned();
    for name in STANDARD {
        let licence = if name == "compiler_builtins" { BUILTINS_LICENCE } else { STANDARD_LICENCE };
        let description = "Of the Rust standard library, built from the toolchain's sources";
        crates.insert(
            Name { name: name.to_owned(), version: version.clone() },
            Crate {
                licence: licence.to_owned(),
                description: description.to_owned(),
                origin: Origin::Toolchain,
                ..Crate::default()
            },
        );
    }
    Ok(Bill { crates })
}

/// What `cargo tree` says of a package: a line a crate, each with its depth before it.
fn resolved(
    workspace: &Workspace,
    package: &str,
    mode: Mode,
    toolchain: &Toolchain,
) -> Result<String> {
    let mut cargo = toolchain.cargo();
    cargo.args(["tree", "--package", package, "--target", target::NAME, "--no-dedupe"]);
    cargo.args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", " {p}"]);
    cargo.current_dir(&workspace.root);
    if mode == Mode::Contained {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", "--cfg=elone_contained");
    }
    program::output(&mut cargo)
}

/// Reads such a tree into crates and who uses whom.
fn tree(text: &str, crates: &mut BTreeMap<Name, Crate>) -> Result<()> {
    let mut above: Vec<Name> = Vec::new();
    for line in text.lines() {
        let read = || {
            let (depth, rest) = line.split_once(' ')?;
            let (name, rest) = rest.split_once(" v")?;
            let version = rest.split_whitespace().next()?;
            let name = Name { name: name.to_owned(), version: version.to_owned() };
            Some((depth.parse::<usize>().ok()?, name))
        };
        let (depth, name) = read().with_context(|| format!("cargo tree said {line:?}"))?;
        ensure!(depth <= above.len(), "cargo tree left out a level before {line:?}");
        above.truncate(depth);
        if let Some(user) = above.last() {
            crates.entry(user.clone()).or_default().uses.insert(name.clone());
        }
        crates.entry(name.clone()).or_default();
        above.push(name);
    }
    Ok(())
}

/// Adds what the manifests of the crates say, and the lock file.
fn describe(workspace: &Workspace, crates: &mut BTreeMap<Name, Crate>) -> Result<()> {
    let mut command = Command::new(crate::workspace::cargo());
    command.args(["metadata", "--format-version=1", "--locked"]).current_dir(&workspace.root);
    let metadata: Value = serde_json::from_str(&program::output(&mut command)?)?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let sums = checksums(&fs::read_to_string(workspace.root.join("Cargo.lock"))?);
    for (name, one) in crates {
        let mut found = packages
            .iter()
            .filter(|package| package["name"] == *name.name && package["version"] == *name.version);
        let package = found.next().with_context(|| format!("{} is unknown", name.name))?;
        let text = |field: &str| package[field].as_str().unwrap_or_default().trim().to_owned();
        // An older way to write "or".
        one.licence = text("license").replace('/', " OR ");
        ensure!(!one.licence.is_empty(), "{} has no licence", name.name);
        one.description = text("description").split_whitespace().collect::<Vec<_>>().join(" ");
        if package["source"].is_string() {
            one.origin = Origin::Registry;
            one.sha256 = sums.get(name).cloned();
        }
    }
    Ok(())
}

/// The checksums in a lock file.
fn checksums(lock: &str) -> BTreeMap<Name, String> {
    let package = |block: &str| {
        let value = |field: &str| {
            let prefix = format!("{field} = \"");
            let line = block.lines().find_map(|line| line.strip_prefix(&prefix))?;
            line.strip_suffix('"').map(str::to_owned)
        };
        let name = Name { name: value("name")?, version: value("version")? };
        Some((name, value("checksum")?))
    };
    lock.split("[[package]]").filter_map(package).collect()
}

impl Bill {
    /// The bill of a machine's image, as CycloneDX 1.5 has it.
    pub(crate) fn cyclonedx(&self, machine: &Machine, built: &Built) -> Value {
        let image = json!({
            "type": "firmware",
            "bom-ref": "image",
            "name": machine.image,
            "version": machine.version,
            "hashes": [{ "alg": "SHA-256", "content": built.sha256 }],
        });
        let components: Vec<_> =
            self.crates.iter().map(|(name, one)| one.component(name)).collect();
        let all: Vec<_> = self.crates.keys().map(Name::reference).collect();
        let uses = |(name, one): (&Name, &Crate)| {
            let uses: Vec<_> = one.uses.iter().map(Name::reference).collect();
            json!({ "ref": name.reference(), "dependsOn": uses })
        };
        let mut dependencies = vec![json!({ "ref": "image", "dependsOn": all })];
        dependencies.extend(self.crates.iter().map(uses));
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "serialNumber": serial(&built.sha256),
            "version": 1,
            "metadata": {
                "component": image,
                "tools": { "components": [{ "type": "application", "name": "cargo xtask image" }] },
            },
            "components": components,
            "dependencies": dependencies,
        })
    }
}

/// A serial number that follows from the image: a UUID whose bits are our own (RFC 9562, version 8).
fn serial(sha256: &str) -> String {
    let part = |range: std::ops::Range<usize>| sha256.get(range).unwrap_or_default();
    let [a, b, c, d, e] = [part(0..8), part(8..12), part(13..16), part(17..20), part(20..32)];
    format!("urn:uuid:{a}-{b}-8{c}-8{d}-{e}")
}

impl Name {
    fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

impl Crate {
    fn component(&self, name: &Name) -> Value {
        let mut component = json!({
            "type": "library",
            "bom-ref": name.reference(),
            "name": name.name,
            "version": name.version,
            "scope": "required",
            "licenses": [{ "expression": self.licence }],
        });
        if !self.description.is_empty() {
            component["description"] = self.description.clone().into();
        }
        if self.origin == Origin::Registry {
            component["purl"] = format!("pkg:cargo/{}", name.reference()).into();
        }
        if let Some(sum) = &self.sha256 {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use cyclonedx_bom::prelude::{Bom, SpecVersion, Validate};

    use super::*;

    fn name(name: &str) -> Name {
        Name { name: name.to_owned(), version: "1.0.0".to_owned() }
    }

    #[test]
    fn a_tree_says_who_uses_whom() {
        let text = "0 a v1.0.0 (/r/a)\n1 b v1.0.0\n2 c v1.0.0 (*)\n1 c v1.0.0";
        let mut crates = BTreeMap::new();
        tree(text, &mut crates).unwrap();
        assert_eq!(crates.keys().cloned().collect::<Vec<_>>(), ["a", "b", "c"].map(name));
        assert_eq!(crates[&name("a")].uses, BTreeSet::from([name("b"), name("c")]));
        assert_eq!(crates[&name("b")].uses, BTreeSet::from([name("c")]));
        for wrong in ["x", "0 a", "1 a v1", "0 a v1\n2 b v1"] {
            assert!(tree(wrong, &mut BTreeMap::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"0f\"\n\n\
            [[package]]\nname = \"b\"\nversion = \"1.0.0\"\n";
        assert_eq!(checksums(lock), BTreeMap::from([(name("a"), "0f".to_owned())]));
    }

    /// By the rules of CycloneDX as its own library has them; of the real gateway, in both modes.
    #[test]
    fn a_bill_is_one_of_cyclonedx() {
        let workspace = Workspace::read().unwrap();
        let toolchain = Toolchain::find(&Default::default(), workspace.rust_version).unwrap();
        for mode in [Mode::Joined, Mode::Contained] {
            let program = workspace.program("gateway").unwrap();
            let bill = of(&workspace, program, mode, &toolchain).unwrap();
            let built = Built::made_up(mode);
            let value = bill.cyclonedx(&Machine::made_up("gateway", ""), &built);
            let read = |value: &Value| {
                let bom = Bom::parse_from_json_v1_5(value.to_string().as_bytes()).unwrap();
                bom.validate_version(SpecVersion::V1_5)
            };
            let verdict = read(&value);
            assert!(verdict.passed(), "{verdict:?}");
            // What comes from the registry can be checked against it.
            for component in value["components"].as_array().unwrap() {
                let foreign = component["purl"].is_string();
                assert_eq!(foreign, component["hashes"].is_array(), "{component}");
            }
            let mut wrong = value.clone();
            wrong["components"][0]["licenses"][0]["expression"] = "whatever you like".into();
            assert!(!read(&wrong).passed(), "it sees nothing");
        }
    }
}
