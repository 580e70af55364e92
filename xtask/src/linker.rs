//! bpf-linker: found, or built against the LLVM that the compiler itself brings.
//!
//! No LLVM development package is needed: bpf-linker links the shared library, and a folder with two symlinks to it
//! is all that its build asks for. The folder is the binary's run path, so it stays where it was made.

use crate::toolchain::{Compiler, number};
use crate::{command, workspace};
use anyhow::{Context, Result, bail};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The version that is built; what stands in PATH must be at least this.
pub const VERSION: &str = "0.13.0";
/// LLVM major versions it can be built for: its features.
const LLVM_MAJORS: &[&str] = &["21", "22", "23"];

/// The linker for this compiler, if there is one: named by the environment, built here before, or in PATH.
pub fn find(compiler: &Compiler) -> Result<Option<PathBuf>> {
    if let Some(named) = env::var_os("GWPOOL_BPF_LINKER").map(PathBuf::from) {
        version(&named).with_context(|| format!("GWPOOL_BPF_LINKER={}", named.display()))?;
        return Ok(Some(named));
    }
    let built = folder(compiler)?.join("bin/bpf-linker");
    // It must run, not only be there: the library behind its symlink goes when the compiler is upgraded.
    if version(&built).is_ok_and(|found| found == VERSION) {
        return Ok(Some(built));
    }
    let installed = command::find("bpf-linker");
    Ok(installed
        .filter(|linker| version(linker).is_ok_and(|found| number(&found) >= number(VERSION))))
}

/// Builds it into the cache.
pub fn install(compiler: &Compiler) -> Result<PathBuf> {
    let major = compiler.version.llvm_major();
    if !LLVM_MAJORS.contains(&major) {
        bail!(
            "{} has LLVM {major}, and bpf-linker {VERSION} is made for LLVM {}: use another compiler, or name a \
             bpf-linker by GWPOOL_BPF_LINKER",
            compiler.rustc.display(),
            LLVM_MAJORS.join(", ")
        );
    }
    let library = llvm_library(compiler)?;
    let folder = folder(compiler)?;
    lay_out(&folder, &library)?;
    let mut install = Command::new(workspace::cargo());
    workspace::without_outer_cargo(&mut install)
        .args([
            "install",
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--force",
            "--no-default-features",
        ])
        .args(["--features", &format!("llvm-{major}")])
        .arg("--root")
        .arg(&folder)
        .env("LLVM_PREFIX", &folder)
        // Speed of the linker itself does not matter, the time to build it does.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        // The linker is a program of this machine: built as xtask was.
        install.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    command::output(&mut install)?;
    let linker = folder.join("bin/bpf-linker");
    version(&linker)?;
    Ok(linker)
}

/// One folder a version and LLVM: `~/.cache/gwpool/bpf-linker-0.13.0-llvm22`.
fn folder(compiler: &Compiler) -> Result<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path: &PathBuf| path.is_absolute())
    };
    let cache =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let cache = cache.context("neither XDG_CACHE_HOME nor HOME says where to keep bpf-linker")?;
    Ok(cache.join(format!(
        "gwpool/bpf-linker-{VERSION}-llvm{}",
        compiler.version.llvm_major()
    )))
}

/// `lib/libLLVM.so` for the link editor, and the library under its own name for the loader.
fn lay_out(folder: &Path, library: &Path) -> Result<()> {
    let lib = folder.join("lib");
    fs::create_dir_all(&lib).with_context(|| format!("cannot make {}", lib.display()))?;
    let own = library.file_name().context("a library has a name")?;
    for name in [own, "libLLVM.so".as_ref()] {
        let link = lib.join(name);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        symlink(library, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(())
}

/// The compiler's own libLLVM: rustup keeps it in the toolchain, distributions in the system's folder.
fn llvm_library(compiler: &Compiler) -> Result<PathBuf> {
    let major = compiler.version.llvm_major();
    let lib = compiler.sysroot.join("lib");
    let multiarch = lib.join(compiler.version.host.replace("-unknown-", "-"));
    let folders = [
        lib,
        multiarch,
        "/usr/lib64".into(),
        format!("/usr/lib/llvm-{major}/lib").into(),
    ];
    let wanted = format!("libLLVM.so.{major}.");
    for folder in &folders {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        if let Some(name) = names.filter(|name| name.starts_with(&wanted)).min() {
            return Ok(folder.join(name));
        }
    }
    bail!(
        "no {wanted}* (the LLVM of {}) in {folders:?}",
        compiler.rustc.display()
    )
}

/// "0.13.0" of `bpf-linker --version`.
fn version(linker: &Path) -> Result<String> {
    let said = command::output(
        Command::new(linker)
            .arg("--version")
            .env_remove("LD_LIBRARY_PATH"),
    )?;
    said.split_whitespace()
        .nth(1)
        .map(str::to_owned)
        .with_context(|| format!("{} has no version", linker.display()))
}
