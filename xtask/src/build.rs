//! `cargo xtask build`: the daemon with the programs inside it, at `target/release/gwpool-user`.

use crate::workspace::Workspace;
use crate::{command, ebpf};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// What a build leaves.
pub struct Built {
    /// The programs.
    pub object: PathBuf,
    /// The daemon.
    pub daemon: PathBuf,
}

/// `build`.
pub fn verb(workspace: &Workspace) -> Result<()> {
    let built = daemon(workspace)?;
    for file in [&built.object, &built.daemon] {
        println!("{} {}", size(file)?, file.display());
    }
    Ok(())
}

/// Builds programs and daemon.
pub fn daemon(workspace: &Workspace) -> Result<Built> {
    let object = ebpf::built(workspace)?;
    release(workspace, &object, &["--package", "gwpool-user"])?;
    Ok(Built {
        object,
        daemon: workspace.released("gwpool-user"),
    })
}

/// The lab's binary.
pub fn lab(workspace: &Workspace, object: &Path) -> Result<PathBuf> {
    binary(workspace, object, "lab")
}

/// The bench's binary.
pub fn bench(workspace: &Workspace, object: &Path) -> Result<PathBuf> {
    binary(workspace, object, "bench")
}

fn binary(workspace: &Workspace, object: &Path, name: &str) -> Result<PathBuf> {
    let what = ["--package", "gwpool-tests", "--bin", name];
    release(workspace, object, &what)?;
    Ok(workspace.released(name))
}

fn release(workspace: &Workspace, object: &Path, what: &[&str]) -> Result<()> {
    command::run(
        workspace
            .cargo("build")
            .arg("--release")
            .args(what)
            .env("GWPOOL_BPF_OBJ", object),
    )
}

fn size(file: &Path) -> Result<String> {
    let bytes = file
        .metadata()
        .with_context(|| format!("cannot read {}", file.display()))?
        .len();
    Ok(format!("{:>8.1} kB", bytes as f64 / 1000.0))
}
