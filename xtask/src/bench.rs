//! `cargo xtask bench WHAT [OPTIONS]`: builds programs, daemon and bench, optimised, then becomes the bench, as root.

use crate::workspace::Workspace;
use crate::{build, command, ebpf, setup};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;

/// `bench WHAT [OPTIONS]`.
pub fn verb(args: &[String]) -> Result<()> {
    const KNOWN: [&str; 6] = ["micro", "pps", "tcp", "scale", "sweep", "ports"];
    /// Those that stand beside the peers.
    const PEERS: [&str; 3] = ["pps", "tcp", "scale"];
    if !args
        .first()
        .is_some_and(|what| KNOWN.contains(&what.as_str()))
    {
        bail!("bench what? {}", KNOWN.join(", "));
    }
    if args
        .first()
        .is_some_and(|what| PEERS.contains(&what.as_str()))
    {
        setup::system_tools(setup::Need::Bench)?;
    }
    let workspace = Workspace::find()?;
    let build::Built { object, daemon } = build::daemon(&workspace)?;
    let floors = ebpf::floors(&workspace)?;
    let bench = build::bench(&workspace, &object)?;
    let mut bench = command::as_root(&bench)?;
    bench.args(args);
    bench.env("GWPOOL_BPF_OBJ", object);
    bench.env("GWPOOL_USER_BIN", daemon);
    bench.env("GWPOOL_FLOORS_OBJ", floors);
    let error = bench.exec();
    bail!("cannot start {}: {error}", command::line(&bench))
}
