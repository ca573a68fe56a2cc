//! The house's floors: which crate may import which. Imports point down; what is not listed here is
//! refused, so a new crate has to be given its place.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A crate of this workspace, and those of the same workspace that it may import.
struct Place {
    name: &'static str,
    imports: &'static [Import],
}

/// An import that is allowed: anywhere, or only in images.
enum Import {
    Anywhere(&'static str),
    /// Only for the target: the provider line.
    InImages(&'static str),
}
use Import::{Anywhere, InImages};

/// Whatever else is in a directory of its own right below `app/`.
const APPLICATION: Place = Place { name: "an application", imports: &[Anywhere("elone")] };

/// From top to bottom.
const HOUSE: &[Place] = &[
    APPLICATION,
    Place { name: "elone-unikernels", imports: &[Anywhere("elone"), Anywhere("elone-gate")] },
    Place {
        name: "elone",
        imports: &[
            Anywhere("elone-gate"),
            Anywhere("elone-macros"),
            InImages("elone-kernel"),
            InImages("elone-memory"),
        ],
    },
    Place { name: "elone-macros", imports: &[] },
    Place {
        name: "elone-kernel",
        imports: &[Anywhere("elone-gate"), Anywhere("elone-boards"), Anywhere("elone-hal")],
    },
    Place { name: "elone-gate", imports: &[Anywhere("elone-protections")] },
    Place { name: "elone-boards", imports: &[Anywhere("elone-hal"), Anywhere("elone-early")] },
    Place { name: "elone-early", imports: &[] },
    Place {
        name: "elone-hal",
        imports: &[Anywhere("elone-protections"), InImages("elone-memory")],
    },
    Place { name: "elone-memory", imports: &[] },
    Place { name: "elone-protections", imports: &[] },
    // Beside the house: tools of the host, which see an image only from outside.
    Place {
        name: "xtask",
        imports: &[
            Anywhere("elone-gate"),
            Anywhere("elone-harness"),
            // For what it reads on the host as it does on the machine: settings.
            Anywhere("elone-kernel"),
            Anywhere("elone-protections"),
        ],
    },
    Place { name: "elone-harness", imports: &[Anywhere("elone-edge"), Anywhere("elone-early")] },
    Place { name: "elone-edge", imports: &[] },
    Place { name: "elone-monitor", imports: &[] },
    // Before the house: what firmware starts, and what ends in an image.
    Place { name: "elone-loader", imports: &[] },
];

/// What of `cargo metadata --no-deps` is against the layers, a line each.
pub(crate) fn violations(metadata: &Value) -> Vec<String> {
    let packages: Vec<&Value> = metadata["packages"].as_array().into_iter().flatten().collect();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let ours: Vec<String> = packages.iter().map(|package| name(package)).collect();
    let mut found = Vec::new();
    for package in packages {
        let crate_name = name(package);
        let named = HOUSE.iter().find(|place| place.name == crate_name);
        let Some(place) = named.or(is_application(metadata, package).then_some(&APPLICATION))
        else {
            found.push(format!("{crate_name} has no place in xtask/src/layering.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let imported = name(dependency);
            if ours.contains(&imported) && !allowed(place, &imported, &dependency["target"]) {
                let target = dependency["target"].as_str().unwrap_or("every target");
                found.push(format!("{crate_name} must not import {imported} (for {target})"));
            }
        }
    }
    found
}

fn is_application(metadata: &Value, package: &Value) -> bool {
    let path = |value: &Value| PathBuf::from(value.as_str().unwrap_or_default());
    let above = path(&package["manifest_path"]).ancestors().nth(2).map(Path::to_owned);
    above == Some(path(&metadata["workspace_root"]).join("app"))
}

fn allowed(place: &Place, imported: &str, target: &Value) -> bool {
    place.imports.iter().any(|import| match import {
        Anywhere(name) => *name == imported,
        InImages(name) => {
            let target = target.as_str().unwrap_or_default();
            *name == imported && target.contains("target_os = \"none\"")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn imports_of_this_workspace_point_down() {
        let metadata = Workspace::read().unwrap().metadata;
        let names = metadata["packages"].as_array().unwrap().len();
        assert!(names >= HOUSE.len(), "only {names} crates were looked at");
        assert_eq!(violations(&metadata), [""; 0]);
    }

    /// The true workspace with one more import.
    fn with(importer: &str, imported: &str, target: Value) -> Vec<String> {
        let mut metadata = Workspace::read().unwrap().metadata;
        let packages = metadata["packages"].as_array_mut().unwrap();
        let package = packages.iter_mut().find(|package| package["name"] == importer).unwrap();
        let import = serde_json::json!({ "name": imported, "target": target });
        package["dependencies"].as_array_mut().unwrap().push(import);
        violations(&metadata)
    }

    #[test]
    fn an_import_that_points_up_or_past_a_floor_is_found() {
        for (importer, imported) in [
            ("elone-hal", "elone-gate"),
            ("elone-gate", "elone-kernel"),
            ("elone-kernel", "elone"),
            ("gateway", "elone-kernel"),
            ("hello", "elone-gate"),
            ("elone", "elone-kernel"),
            ("elone-harness", "elone-hal"),
        ] {
            let found = with(importer, imported, Value::Null);
            let expected = format!("{importer} must not import {imported} (for every target)");
            assert_eq!(found, [expected]);
        }
        let elsewhere = with("elone", "elone-kernel", "cfg(unix)".into());
        assert_eq!(elsewhere, ["elone must not import elone-kernel (for cfg(unix))"]);
        assert_eq!(with("elone-hal", "a-crate-from-outside", Value::Null), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let at = |path| {
            let package =
                serde_json::json!({ "name": "new", "manifest_path": path, "dependencies": [] });
            violations(&serde_json::json!({ "workspace_root": "/r", "packages": [package] }))
        };
        assert_eq!(at("/r/app/new/Cargo.toml"), [""; 0]);
        for path in ["/r/new/Cargo.toml", "/r/app/elone/new/Cargo.toml", "/r/app/Cargo.toml"] {
            assert_eq!(at(path), ["new has no place in xtask/src/layering.rs"], "{path}");
        }
    }
}
