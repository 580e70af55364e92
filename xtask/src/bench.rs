//! `cargo xtask bench [WHAT] [OPTIONS]`: builds daemon, programs and bench, optimised, then becomes the
//! bench, as root.

use crate::workspace::Workspace;
use crate::{build, command, ebpf, setup};
use anyhow::{Result, bail};
use std::os::unix::process::CommandExt;

/// What takes turns with its peers; without a word it is all of them.
const CONTESTS: [&str; 4] = ["micro", "pps", "tcp", "scale"];
/// Tables of our own.
const TABLES: [&str; 3] = ["routes", "sweep", "ports"];

/// `bench [WHAT] [OPTIONS]`.
pub fn verb(args: &[String]) -> Result<()> {
    let verb = words(args)?;
    if verb.first().is_some_and(|verb| verb == "contest") {
        setup::system_tools(setup::Need::Bench)?;
    }
    let workspace = Workspace::find()?;
    let built = build::daemon(&workspace)?;
    let floors = ebpf::floors(&workspace)?;
    let bench = build::bench(&workspace, &built.object)?;
    let mut bench = command::as_root(&bench)?;
    bench.args(verb);
    bench.env("GWPOOL_BPF_OBJ", built.object);
    bench.env("GWPOOL_FLOORS_OBJ", floors);
    bench.env("GWPOOL_USER_BIN", built.daemon);
    bench.env("GWPOOL_BENCH_DIR", workspace.target.join("bench"));
    let error = bench.exec();
    bail!("cannot start {}: {error}", command::line(&bench))
}

/// The bench's own words for ours.
fn words(args: &[String]) -> Result<Vec<String>> {
    let what = args.first().filter(|word| !word.starts_with('-'));
    let known = what.is_none_or(|what| {
        let mut all = CONTESTS.iter().chain(&TABLES);
        all.any(|known| known == what)
    });
    if !known {
        let all = [CONTESTS.join(", "), TABLES.join(", ")].join(", ");
        bail!(
            "bench what? {all}; or all of the first {} without a word",
            CONTESTS.len()
        );
    }
    let table = what.is_some_and(|what| TABLES.contains(&what.as_str()));
    let verb = (!table).then(|| "contest".to_owned());
    Ok(verb.into_iter().chain(args.iter().cloned()).collect())
}

#[cfg(test)]
mod tests;
