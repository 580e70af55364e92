//! `cargo xtask ebpf`: the programs, for the bpf target, into one object that was looked at.
//!
//! A child cargo builds `core` and the programs with the compiler that `setup` found, in a target folder of its own.
//! The result is written only if it changed, so nothing that embeds it is built again for nothing.

use crate::setup::{self, Tools};
use crate::workspace::{self, Workspace};
use crate::{command, contract, object};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

const TARGET: &str = "bpfel-unknown-none";
const PACKAGE: &str = "gwpool-ebpf";
/// The benchmark's own programs.
const FLOORS: &str = "gwpool-floors";

/// `ebpf`.
pub fn verb(workspace: &Workspace) -> Result<()> {
    let object = built(workspace)?;
    let contents = object::check(&read(&object)?, &declared_maps(workspace)?)?;
    for (name, (kind, instructions)) in &contents.programs {
        println!("{kind:<11} {name:<24} {instructions:>6} instructions");
    }
    println!("{:<11} {}", "maps", contents.maps.join(" "));
    Ok(())
}

/// The object: the one GWPOOL_BPF_OBJ names, else built (or found up to date).
pub fn built(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = ready() {
        let named = fs::canonicalize(&named)
            .with_context(|| format!("GWPOOL_BPF_OBJ={}", named.display()))?;
        eprintln!("ebpf: {} (GWPOOL_BPF_OBJ)", named.display());
        return Ok(named);
    }
    make(workspace, PACKAGE, &declared_maps(workspace)?, "gwpool.o")
}

/// The benchmark's own programs.
pub fn floors(workspace: &Workspace) -> Result<PathBuf> {
    make(workspace, FLOORS, &[], "floors.o")
}

/// Builds a package's programs into `target/bpf/NAME`.
fn make(workspace: &Workspace, package: &str, maps: &[String], name: &str) -> Result<PathBuf> {
    let tools = setup::build_tools()?;
    let start = Instant::now();
    let folder = workspace.target.join("bpf");
    if !folder.exists() {
        eprintln!("ebpf: building the programs (the first time takes half a minute)");
    }
    command::run(&mut child(workspace, package, &tools, &folder))?;
    let linked = read(&folder.join(TARGET).join("release").join(package))?;
    object::check(&linked, maps)?;
    let object = folder.join(name);
    let news = write_if_changed(&object, &object::strip(&linked)?)?;
    let news = if news { "new" } else { "unchanged" };
    eprintln!(
        "ebpf: {} {news}, {:.1} s",
        object.display(),
        start.elapsed().as_secs_f64()
    );
    Ok(object)
}

/// Whether there is an object, or what builds one.
pub fn buildable() -> Result<()> {
    if ready().is_none() {
        setup::build_tools()?;
    }
    Ok(())
}

fn ready() -> Option<OsString> {
    env::var_os("GWPOOL_BPF_OBJ").filter(|name| !name.is_empty())
}

fn child(workspace: &Workspace, package: &str, tools: &Tools, folder: &Path) -> Command {
    let compiler = &tools.compiler;
    let flags = [
        format!(
            "--cfg=bpf_target_arch=\"{}\"",
            compiler.version.architecture()
        ),
        // 32-bit registers and jumps: any kernel since 5.1.
        "-Ctarget-cpu=v3".to_owned(),
        // BTF is made from the debug information.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Else LLVM makes a call and a loop of every few bytes that are set to zero, and the verifier walks it each time.
        "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
    ];
    let mut cargo = Command::new(compiler.cargo.clone().unwrap_or_else(workspace::cargo));
    workspace::without_outer_cargo(&mut cargo)
        .current_dir(&workspace.root)
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            package,
            "--bin",
            package,
        ])
        .args(["--target", TARGET, "-Z", "build-std=core", "--target-dir"])
        .arg(folder)
        .env("RUSTC", &compiler.rustc)
        // A stable compiler takes -Z and builds `core` only so.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &tools.linker)
        .env("CARGO_PROFILE_RELEASE_LTO", "true")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3");
    cargo
}

fn declared_maps(workspace: &Workspace) -> Result<Vec<String>> {
    let source = fs::read_to_string(workspace.root.join(contract::MAPS))
        .with_context(|| contract::MAPS.to_owned())?;
    let maps = contract::maps(&source);
    if maps.is_empty() {
        bail!("{}: no map found", contract::MAPS);
    }
    Ok(maps.into_iter().map(|map| map.name).collect())
}

fn write_if_changed(file: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(true)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
