//! `cargo xtask bench scale|sweep|ports [OPTIONS]`: builds programs and bench, optimised, then becomes the bench, as root.

use crate::workspace::Workspace;
use crate::{build, command, ebpf};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;

/// `bench WHAT [OPTIONS]`.
pub fn verb(args: &[String]) -> Result<()> {
    const KNOWN: [&str; 3] = ["scale", "sweep", "ports"];
    if !args
        .first()
        .is_some_and(|what| KNOWN.contains(&what.as_str()))
    {
        bail!("bench what? {}", KNOWN.join(", "));
    }
    let workspace = Workspace::find()?;
    let object = ebpf::built(&workspace)?;
    let bench = build::bench(&workspace, &object)?;
    let mut bench = command::as_root(&bench)?;
    let error = bench.args(args).env("GWPOOL_BPF_OBJ", object).exec();
    bail!("cannot start {}: {error}", command::line(&bench))
}
