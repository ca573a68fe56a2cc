//! No program can be started where nothing is there to start one: names of what would.

use object::{Object, ObjectSymbol};
use rustc_demangle::try_demangle;

/// What C libraries, kernels and dynamic linkers call it.
const FUNCTIONS: [&str; 30] = [
    "clone",
    "clone3",
    "dlmopen",
    "dlopen",
    "dlsym",
    "exec",
    "execl",
    "execle",
    "execlp",
    "execv",
    "execve",
    "execveat",
    "execvp",
    "execvpe",
    "fexecve",
    "finit_module",
    "fork",
    "init_module",
    "kexec_load",
    "load_elf_binary",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "request_module",
    "rfork",
    "spawn",
    "system",
    "uselib",
    "vfork",
    "wordexp",
];

/// The same as parts of Rust's paths, where `clone` and `spawn` are about values and tasks.
const PARTS: [&str; 16] = [
    "dlopen",
    "dlsym",
    "exec",
    "execv",
    "execve",
    "execvp",
    "fork",
    "libloading",
    "load_elf",
    "popen",
    "posix_spawn",
    "shell",
    "sh",
    "std::process",
    "sys::process",
    "vfork",
];

/// The symbols of a linked program that name a loader, a shell or the like.
pub(super) fn loaders(elf: &[u8]) -> object::Result<Vec<String>> {
    let file = object::File::parse(elf)?;
    let names = file.symbols().filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    Ok(names.filter_map(|name| suspect(&name)).collect())
}

/// The name, readable, if it is one of those.
fn suspect(symbol: &str) -> Option<String> {
    let Ok(path) = try_demangle(symbol) else {
        let plain = symbol.trim_start_matches('_');
        return FUNCTIONS.contains(&plain).then(|| symbol.to_owned());
    };
    let path = format!("{path:#}");
    let identifier = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
    let mut types = path.split(identifier);
    let named = types.any(|one| {
        let delimited = format!("::{one}::");
        PARTS.iter().any(|part| delimited.contains(&format!("::{part}::")))
    });
    named.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_programs_is_known_by_name() {
        for symbol in [
            "execve",
            "__fork",
            "system",
            "_RNvNtCs1234_7mycrate6loader4exec",
            "_RNvMNtCs1234_3std7processNtB2_7Command5spawn",
            "_ZN3std7process7Command5spawn17h0123456789abcdefE",
            "_RNvCs1234_7mycrate5shell",
        ] {
            assert!(suspect(symbol).is_some(), "{symbol}");
        }
    }

    #[test]
    fn tasks_and_values_start_no_programs() {
        for symbol in [
            "elone_wait",
            "_start",
            "_RNvMNtCs1234_16embassy_executor7spawnerNtB2_7Spawner5spawn",
            "_RNvXs_Cs1234_5elonNtB4_5PlaceNtNtCs5678_4core5clone5Clone5clone",
            "_RNvNtCs1234_5elone8executor3run",
            "_RNvNtCs1234_5elone6system6ticket",
            "$x.17",
            "",
        ] {
            assert_eq!(suspect(symbol), None, "{symbol}");
        }
    }

    #[test]
    fn a_program_that_could_start_others_is_found() {
        use object::write::{Object, Symbol, SymbolSection};
        use object::{Architecture, BinaryFormat, Endianness, SymbolFlags};
        let mut file = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
        for name in ["main", "execve", "memcpy"] {
            file.add_symbol(Symbol {
                name: name.into(),
                value: 0,
                size: 0,
                kind: object::SymbolKind::Text,
                scope: object::SymbolScope::Dynamic,
                weak: false,
                section: SymbolSection::Undefined,
                flags: SymbolFlags::None,
            });
        }
        assert_eq!(loaders(&file.write().unwrap()).unwrap(), ["execve"]);
    }
}
