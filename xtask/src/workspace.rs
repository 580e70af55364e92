//! Where the project is, where it builds, what cargo knows of it, and how cargo is called from inside cargo.

use crate::command;
use anyhow::{Context, Result};
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The project as `cargo metadata` describes it.
pub struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// `target/`, or what CARGO_TARGET_DIR says.
    pub target: PathBuf,
    /// Everything cargo can build here.
    pub targets: Vec<Target>,
}

/// One thing that cargo can build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The package it belongs to.
    pub package: String,
    /// Its name.
    pub name: String,
    /// `lib`, `bin`, `test`, …
    pub kind: String,
    /// `cargo test` runs it.
    pub tested: bool,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Workspace> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut metadata = Command::new(cargo());
        metadata
            .current_dir(manifest)
            .args(["metadata", "--no-deps", "--format-version=1"]);
        let metadata: Value =
            serde_json::from_str(&command::output(&mut metadata)?).context("cargo metadata")?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("no {key} in metadata"))
        };
        Ok(Workspace {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            targets: targets(&metadata),
        })
    }

    /// `cargo VERB` in the project.
    pub fn cargo(&self, verb: &str) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.root).arg(verb);
        command
    }

    /// Where a release build leaves a binary.
    pub fn released(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }
}

/// The cargo that runs us.
pub fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Takes away what the cargo (and rustup) around us put into the environment: flags and wrappers meant for the
/// host, the choice of a toolchain, its libraries. What says where crates come from and are kept stays.
pub fn without_outer_cargo(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_outer) {
            command.env_remove(name);
        }
    }
    command
}

fn is_outer(name: &str) -> bool {
    const GONE: &[&str] = &[
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_BOOTSTRAP",
        "RUSTUP_TOOLCHAIN",
        "LD_LIBRARY_PATH",
    ];
    const KEPT: &[&str] = &[
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    let cargos = name == "CARGO" || name.starts_with("CARGO_");
    GONE.contains(&name) || cargos && !KEPT.iter().any(|kept| name.starts_with(kept))
}

fn targets(metadata: &Value) -> Vec<Target> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for package in list(&metadata["packages"]) {
        for target in list(&package["targets"]) {
            found.push(Target {
                package: word(&package["name"]),
                name: word(&target["name"]),
                kind: word(&target["kind"][0]),
                tested: target["test"].as_bool().unwrap_or(false),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests;
