//! `cargo xtask run` and `lab`: builds what is to be shown, then becomes it.
//!
//! xtask replaces itself (exec), so Ctrl-C reaches the lab itself, which takes down what it made, and the exit code
//! is its own. With `--`, `run` is the daemon's command line on this host; without, the lab.

use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{build, command};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `run [LAB OPTIONS]` or `run -- ARGS…`.
pub fn run(args: &[String]) -> Result<()> {
    if let Some((first, arguments)) = args.split_first()
        && first == "--"
    {
        let built = build::daemon(&Workspace::find()?)?;
        return become_it(command::as_root(&built.daemon)?.args(arguments));
    }
    if let Some(word) = args.iter().find(|arg| *arg == "--") {
        bail!("options of the lab and `{word}` (the daemon on this host) do not go together");
    }
    lab("run", args)
}

/// `lab up|shell [HOST]|down [OPTIONS]`.
pub fn verb(args: &[String]) -> Result<()> {
    match args.split_first() {
        Some((verb, rest)) if ["up", "shell", "down", "run"].contains(&verb.as_str()) => {
            lab(verb, rest)
        }
        Some((verb, _)) => bail!("the lab knows up, shell [HOST], down and run; found `{verb}`"),
        None => bail!("lab what? up, shell [HOST], down or run"),
    }
}

fn lab(verb: &str, args: &[String]) -> Result<()> {
    setup::system_tools(Need::Lab)?;
    let workspace = Workspace::find()?;
    let daemon = workspace.released("gwpool-user");
    let mut lab = workspace.released("lab");
    // What is up can be entered and taken down also while the sources do not compile.
    if !["shell", "down"].contains(&verb) || !lab.exists() {
        let built = build::daemon(&workspace)?;
        lab = build::lab(&workspace, &built.object)?;
    }
    let mut lab = command::as_root(&lab)?;
    become_it(lab.arg(verb).args(args).env("GWPOOL_USER_BIN", daemon))
}

fn become_it(command: &mut Command) -> Result<()> {
    let error = command.exec();
    bail!("cannot start {}: {error}", command::line(command))
}
