//! `cargo xtask bench scale|sweep [OPTIONS]`: builds programs and bench, optimised, then becomes the bench, as root.

use crate::workspace::Workspace;
use crate::{build, command, ebpf};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;

/// `bench WHAT [OPTIONS]`.
pub fn verb(args: &[String]) -> Result<()> {
    if args
        .first()
        .is_none_or(|what| what != "scale" && what != "sweep")
    {
        bail!("bench what? scale or sweep");
    }
    let workspace = Workspace::find()?;
    let object = ebpf::built(&workspace)?;
    let bench = build::bench(&workspace, &object)?;
    let mut bench = command::as_root(&bench)?;
    let error = bench.args(args).env("GWPOOL_BPF_OBJ", object).exec();
    bail!("cannot start {}: {error}", command::line(&bench))
}
