//! `cargo xtask test [host|kernel|net] [FILTER…]`: the tiers, what each needs, and one count at the end.
//!
//! Which tests belong to which tier says their target's name in tests/Cargo.toml: `host_*`, `kernel_*`, `net_*`; the
//! units of all packages are of the host tier. A FILTER is a target's name without its tier, or a part of a test's. A
//! tier that cannot run says SKIPPED, and fails where CI is set.

mod count;
mod tier;

use crate::workspace::Workspace;
use crate::{build, command, ebpf};
use anyhow::{Result, bail};
use count::{Count, counted};
use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fmt};
use tier::{TIERS, Tier, batches, named};

/// A line of the closing table.
struct Row {
    tier: Tier,
    what: String,
    count: Count,
    seconds: f64,
}

/// `test [TIER] [FILTER…]`.
pub fn verb(args: &[String]) -> Result<ExitCode> {
    let (tiers, filters) = wanted(args)?;
    let workspace = Workspace::find()?;
    let mut run = Run {
        workspace,
        filters,
        environment: Vec::new(),
        rows: Vec::new(),
        skipped: Vec::new(),
    };
    let mut tiers = run.runnable(tiers);
    if let Err(error) = run.prepare(&tiers) {
        // What needs nothing is still worth running.
        eprintln!("error: {error:#}");
        tiers
            .iter()
            .filter(|tier| **tier != Tier::Host)
            .for_each(|tier| run.broken(*tier, "not built"));
        tiers.retain(|tier| *tier == Tier::Host);
    }
    for tier in tiers {
        run.tier(tier)?;
    }
    Ok(run.close())
}

fn wanted(args: &[String]) -> Result<(Vec<Tier>, Vec<String>)> {
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-')) {
        bail!("test takes a tier (host, kernel, net) and filters; found `{option}`");
    }
    let tier = args
        .first()
        .and_then(|first| TIERS.into_iter().find(|tier| tier.name() == first));
    Ok(match tier {
        Some(tier) => (vec![tier], args[1..].to_vec()),
        None => (TIERS.to_vec(), args.to_vec()),
    })
}

struct Run {
    workspace: Workspace,
    filters: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    rows: Vec<Row>,
    skipped: Vec<(Tier, String)>,
}

impl Run {
    /// The tiers that can run here; the others are put down as skipped.
    fn runnable(&mut self, tiers: Vec<Tier>) -> Vec<Tier> {
        let mut runnable = Vec::new();
        for tier in tiers {
            match tier.ready() {
                Ok(()) => runnable.push(tier),
                Err(error) => self.skipped.push((tier, format!("{error:#}"))),
            }
        }
        runnable
    }

    /// Builds what the tests run and embed. The same environment for all tiers, or each would build anew.
    fn prepare(&mut self, tiers: &[Tier]) -> Result<()> {
        if tiers.iter().all(|tier| *tier == Tier::Host) {
            return Ok(());
        }
        self.environment
            .push(("GWPOOL_BPF_OBJ", ebpf::built(&self.workspace)?.into()));
        if tiers.contains(&Tier::Net) {
            let built = build::daemon(&self.workspace)?;
            self.environment.push((
                "GWPOOL_LAB_BIN",
                build::lab(&self.workspace, &built.object)?.into(),
            ));
            self.environment
                .push(("GWPOOL_USER_BIN", built.daemon.into()));
        }
        Ok(())
    }

    fn tier(&mut self, tier: Tier) -> Result<()> {
        let batches = batches(&self.workspace.targets, tier);
        let (batches, filters) = named(batches, tier, &self.filters);
        let names: Vec<&str> = batches.iter().map(|batch| batch.what.as_str()).collect();
        eprintln!("\ntest: tier {}: {}", tier.name(), names.join(", "));
        if batches.is_empty() {
            self.broken(tier, "has no test");
            return Ok(());
        }
        let start = Instant::now();
        let mut compile = self.cargo_test(tier);
        compile
            .args(batches.iter().flat_map(|batch| &batch.args))
            .arg("--no-run");
        if command::run(&mut compile).is_err() {
            self.broken(tier, "does not compile");
            return Ok(());
        }
        eprintln!("test: compiled, {:.1} s", start.elapsed().as_secs_f64());
        for batch in batches {
            let start = Instant::now();
            let mut test = self.cargo_test(tier);
            test.args(&batch.args)
                .args(["--no-fail-fast", "--"])
                .args(&filters);
            match tier {
                Tier::Host => test.arg("--quiet"),
                // The verifier's counts are to be seen, not only compared.
                Tier::Kernel => test.arg("--show-output"),
                // They measure time and load both CPUs themselves: one at a time.
                Tier::Net => test.arg("--test-threads=1"),
            };
            let count = counted(&mut test)?;
            self.rows.push(Row {
                tier,
                what: batch.what,
                count,
                seconds: start.elapsed().as_secs_f64(),
            });
        }
        Ok(())
    }

    /// `cargo test`. All packages are named each time, so that features are resolved only one way.
    fn cargo_test(&self, tier: Tier) -> Command {
        let mut test = self.workspace.cargo("test");
        test.arg("--workspace")
            .envs(self.environment.iter().cloned());
        if tier != Tier::Host && !command::is_root() {
            // The tests run as root, cargo does not: nothing in target/ belongs to root afterwards.
            test.env(runner_variable(), "sudo -E");
        }
        test
    }

    fn broken(&mut self, tier: Tier, what: &str) {
        let count = Count {
            failed: 1,
            ..Count::default()
        };
        self.rows.push(Row {
            tier,
            what: what.to_owned(),
            count,
            seconds: 0.0,
        });
    }

    /// The table, and the plain line that machines read.
    fn close(self) -> ExitCode {
        let mut total = Count::default();
        println!();
        for row in &self.rows {
            println!("{row}");
            total.passed += row.count.passed;
            total.failed += row.count.failed;
        }
        let in_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        for (tier, why) in &self.skipped {
            println!("{:<7} SKIPPED: {why}", tier.name());
            total.failed += u32::from(in_ci);
        }
        if !self.filters.is_empty() && total == Count::default() {
            println!("no test has {} in its name", self.filters.join(" or "));
            total.failed = 1;
        }
        println!("{} passed, {} failed", total.passed, total.failed);
        ExitCode::from(u8::from(total.failed > 0))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count {
            passed,
            failed,
            ignored,
        } = self.count;
        write!(
            out,
            "{:<7} {:<36} {passed:>5} passed {failed:>3} failed",
            self.tier.name(),
            self.what
        )?;
        write!(out, "{:>9.1} s", self.seconds)?;
        if ignored > 0 {
            write!(out, "  ({ignored} IGNORED)")
        } else {
            Ok(())
        }
    }
}

/// The variable by which cargo is told what runs a test binary on this machine.
fn runner_variable() -> String {
    format!(
        "CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER",
        env::consts::ARCH.to_uppercase()
    )
}

#[cfg(test)]
mod tests;
