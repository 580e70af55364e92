//! Which tests are of which tier, by the names of their targets, and what a tier needs to run here.

use crate::setup::{self, Need};
use crate::workspace::Target;
use crate::{command, ebpf};
use anyhow::{Result, bail};
use std::process::Command;

/// A tier of tests, by what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Nothing.
    Host,
    /// Root, to load the programs.
    Kernel,
    /// Root, for network namespaces, and real peers.
    Net,
}

/// In the order they run.
pub const TIERS: [Tier; 3] = [Tier::Host, Tier::Kernel, Tier::Net];

impl Tier {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Host => "host",
            Tier::Kernel => "kernel",
            Tier::Net => "net",
        }
    }

    /// Installs what it needs and lacks; an error says why it cannot run here.
    pub fn ready(self) -> Result<()> {
        if self == Tier::Host {
            return Ok(());
        }
        may_be_root()?;
        setup::system_tools(if self == Tier::Net {
            Need::Test
        } else {
            Need::Lab
        })?;
        ebpf::buildable()
    }
}

/// What one call of `cargo test` runs: a line of the closing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its name there.
    pub what: String,
    /// Which targets.
    pub args: Vec<String>,
}

/// The batches of a tier: the units of all packages together, then each target by itself.
pub fn batches(targets: &[Target], tier: Tier) -> Vec<Batch> {
    let mut batches = Vec::new();
    if tier == Tier::Host {
        let mut args = vec!["--lib".to_owned()];
        for bin in targets
            .iter()
            .filter(|target| target.kind == "bin" && target.tested)
        {
            args.extend(["--bin".to_owned(), bin.name.clone()]);
        }
        batches.push(Batch {
            what: "units".to_owned(),
            args,
        });
    }
    let prefix = format!("{}_", tier.name());
    for test in targets
        .iter()
        .filter(|target| target.kind == "test" && target.name.starts_with(&prefix))
    {
        batches.push(Batch {
            what: test.name.clone(),
            args: vec!["--test".to_owned(), test.name.clone()],
        });
    }
    batches
}

/// Of a tier's batches those that a filter names: `nat` is `net_nat` and all that begins with `net_nat_`. Without such a
/// filter all of them, and every filter is a part of a test's name.
pub fn named(batches: Vec<Batch>, tier: Tier, filters: &[String]) -> (Vec<Batch>, Vec<String>) {
    let names = |filter: &String, batch: &Batch| {
        let rest = batch
            .what
            .strip_prefix(&format!("{}_{filter}", tier.name()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let (targets, parts): (Vec<String>, Vec<String>) = filters
        .iter()
        .cloned()
        .partition(|filter| batches.iter().any(|batch| names(filter, batch)));
    let wanted =
        |batch: &Batch| targets.is_empty() || targets.iter().any(|filter| names(filter, batch));
    (batches.into_iter().filter(wanted).collect(), parts)
}

/// Root, or sudo that lets us (it may ask for the password, once).
fn may_be_root() -> Result<()> {
    if command::is_root() {
        return Ok(());
    }
    let Some(sudo) = command::find("sudo") else {
        bail!("needs root, and there is no sudo")
    };
    if !Command::new(sudo)
        .arg("-v")
        .status()
        .is_ok_and(|status| status.success())
    {
        bail!("needs root, and sudo does not let us");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
