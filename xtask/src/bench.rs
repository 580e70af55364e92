//! `cargo xtask bench scale|sweep|ports [OPTIONS]`: builds programs and bench, optimised, then becomes the bench, as root.

use crate::workspace::Workspace;
use crate::{build, command, ebpf};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;

/// `bench WHAT [OPTIONS]`.
pub fn verb(args: &[String]) -> Result<()> {
    const KNOWN: [&str; 4] = ["micro", "scale", "sweep", "ports"];
    if !args
        .first()
        .is_some_and(|what| KNOWN.contains(&what.as_str()))
    {
        bail!("bench what? {}", KNOWN.join(", "));
    }
    let workspace = Workspace::find()?;
    let object = ebpf::built(&workspace)?;
    let floors = ebpf::floors(&workspace)?;
    let bench = build::bench(&workspace, &object)?;
    let mut bench = command::as_root(&bench)?;
    bench.args(args);
    bench.env("GWPOOL_BPF_OBJ", object);
    bench.env("GWPOOL_FLOORS_OBJ", floors);
    let error = bench.exec();
    bail!("cannot start {}: {error}", command::line(&bench))
}
