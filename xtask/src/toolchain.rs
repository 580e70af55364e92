//! Finds the compiler that can build `core` for BPF: one that has the library's source beside it.
//!
//! The target has no ready-made `core`, so it is built from source, and the source must be of exactly the compiler's
//! version. Any stable compiler will do (`RUSTC_BOOTSTRAP=1`); what was looked at and why it failed is kept for the
//! error. Installing is `setup`'s business.

use crate::command;
use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest compiler the workspace builds with: `rust-version` in Cargo.toml.
pub const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");
/// Where a sysroot keeps the source of `core`.
const CORE: &str = "lib/rustlib/src/rust/library/core/src/lib.rs";

/// A compiler that can build `core`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// The compiler.
    pub rustc: PathBuf,
    /// The cargo of the same toolchain, if it has one.
    pub cargo: Option<PathBuf>,
    /// Its sysroot, the library source inside.
    pub sysroot: PathBuf,
    /// What it says of itself.
    pub version: Version,
}

/// `rustc -vV`, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// "1.96.0".
    pub release: String,
    /// "22.1.8".
    pub llvm: String,
    /// "x86_64-unknown-linux-gnu".
    pub host: String,
}

impl Version {
    /// 22 of "22.1.8".
    pub fn llvm_major(&self) -> &str {
        self.llvm.split('.').next().unwrap_or_default()
    }

    /// The architecture as BPF programs are told it: "x86_64" of the host triple.
    pub fn architecture(&self) -> &str {
        self.host.split('-').next().unwrap_or_default()
    }
}

/// A toolchain that rustup knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// "stable-x86_64-unknown-linux-gnu".
    pub name: String,
    /// The one `rustc` means here.
    pub active: bool,
    /// Its sysroot.
    pub path: PathBuf,
}

/// The first compiler that can do it, or why each one cannot.
pub fn find() -> std::result::Result<Compiler, Vec<String>> {
    let mut refusals = Vec::new();
    if let Some(rustc) = env::var_os("GWPOOL_BPF_RUSTC") {
        // Asked for by name: nothing else is tried.
        return probe(Path::new(&rustc))
            .map_err(|error| vec![format!("GWPOOL_BPF_RUSTC: {error:#}")]);
    }
    let toolchains = rustup_toolchains();
    if toolchains.is_empty() {
        refusals.push("rustup: no toolchain of its own found".to_owned());
    }
    for toolchain in toolchains {
        match has_core(&toolchain.path).and_then(|()| probe(&toolchain.path.join("bin/rustc"))) {
            Ok(compiler) => return Ok(compiler),
            Err(error) => refusals.push(format!("rustup's {}: {error:#}", toolchain.name)),
        }
    }
    match probe(Path::new("/usr/bin/rustc")) {
        Ok(compiler) => Ok(compiler),
        Err(error) => {
            refusals.push(format!("/usr/bin/rustc: {error:#}"));
            Err(refusals)
        }
    }
}

/// rustup's toolchains in the order to try them: nightly, the active one, stable, then any other.
pub fn rustup_toolchains() -> Vec<Toolchain> {
    let Some(rustup) = command::find("rustup") else {
        return Vec::new();
    };
    let listed = command::output(Command::new(rustup).args(["toolchain", "list", "-v"]));
    in_order(parse_toolchains(&listed.unwrap_or_default()))
}

fn parse_toolchains(listed: &str) -> Vec<Toolchain> {
    // "NAME (active, default) /PATH", blanks or a tab between; no mark if it is just installed.
    let parse = |line: &str| {
        let (name, rest) = line.split_once(char::is_whitespace)?;
        let path = PathBuf::from(&rest[rest.find('/')?..]);
        let marks = rest
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map_or("", |(marks, _)| marks);
        let active = marks
            .split(", ")
            .any(|mark| mark == "active" || mark == "override");
        Some(Toolchain {
            name: name.to_owned(),
            active,
            path,
        })
    };
    listed.lines().filter_map(parse).collect()
}

fn in_order(mut toolchains: Vec<Toolchain>) -> Vec<Toolchain> {
    toolchains.sort_by_key(|toolchain| match toolchain.name.as_str() {
        name if name.starts_with("nightly") => 0,
        _ if toolchain.active => 1,
        name if name.starts_with("stable") => 2,
        _ => 3,
    });
    toolchains
}

fn probe(rustc: &Path) -> Result<Compiler> {
    anyhow::ensure!(command::is_executable(rustc), "not there");
    let sysroot = PathBuf::from(ask(rustc, &["--print", "sysroot"])?.trim());
    has_core(&sysroot)?;
    let version = parse_version(&ask(rustc, &["-vV"])?)
        .context("`rustc -vV` says something else than expected")?;
    anyhow::ensure!(
        number(&version.release) >= number(OLDEST),
        "is {}, at least {OLDEST} is needed",
        version.release
    );
    let cargo = rustc.with_file_name("cargo");
    let cargo = (rustc.starts_with(&sysroot) && !sysroot.starts_with("/usr") && cargo.exists())
        .then_some(cargo);
    Ok(Compiler {
        rustc: rustc.to_owned(),
        cargo,
        sysroot,
        version,
    })
}

fn ask(rustc: &Path, args: &[&str]) -> Result<String> {
    // The outer cargo's LD_LIBRARY_PATH would give one compiler another one's libraries.
    command::output(
        Command::new(rustc)
            .args(args)
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("RUSTUP_TOOLCHAIN"),
    )
}

fn has_core(sysroot: &Path) -> Result<()> {
    anyhow::ensure!(
        sysroot.join(CORE).exists(),
        "no library source: {} is missing",
        sysroot.join(CORE).display()
    );
    Ok(())
}

fn parse_version(said: &str) -> Option<Version> {
    let field = |name: &str| {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(|value| value.trim().to_owned())
    };
    Some(Version {
        release: field("release")?,
        llvm: field("LLVM version")?,
        host: field("host")?,
    })
}

/// "1.97.0-nightly" as numbers that compare.
pub fn number(version: &str) -> Vec<u32> {
    let plain = version.split(['-', '+', ' ']).next().unwrap_or_default();
    plain
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests;
