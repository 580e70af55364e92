//! `cargo xtask test [host|kernel|net] [FILTER…]`: the tiers, what each needs, and one count at the end.
//!
//! Which tests belong to which tier says their target's name in tests/Cargo.toml: `host_*`, `kernel_*`, `net_*`; the
//! units of all packages are of the host tier. A tier that cannot run says SKIPPED, and fails where CI is set.

use crate::setup::{self, Need};
use crate::workspace::{Target, Workspace};
use crate::{build, command, ebpf};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{env, fmt};

/// A tier of tests, by what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    /// Nothing.
    Host,
    /// Root, to load the programs.
    Kernel,
    /// Root, for network namespaces, and real peers.
    Net,
}

const TIERS: [Tier; 3] = [Tier::Host, Tier::Kernel, Tier::Net];

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Tier::Host => "host",
            Tier::Kernel => "kernel",
            Tier::Net => "net",
        }
    }
}

/// What one run of `cargo test` came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u32,
    failed: u32,
    ignored: u32,
}

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
    let mut tiers = run.runnable(&tiers);
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
    /// The tiers that this machine lets us run; the others are put down as skipped.
    fn runnable(&mut self, tiers: &[Tier]) -> Vec<Tier> {
        let mut refused = may_be_root().err().map(|error| error.to_string());
        if refused.is_none() && tiers.contains(&Tier::Net) {
            refused = setup::system_tools(Need::Test)
                .err()
                .map(|error| format!("{error:#}"));
        }
        let Some(why) = refused else {
            return tiers.to_vec();
        };
        let (host, others) = tiers.iter().partition(|tier| **tier == Tier::Host);
        let others: Vec<Tier> = others;
        self.skipped
            .extend(others.into_iter().map(|tier| (tier, why.clone())));
        host
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
        let names: Vec<&str> = batches.iter().map(|batch| batch.what.as_str()).collect();
        eprintln!("\ntest: tier {}: {}", tier.name(), names.join(", "));
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
                .args(&self.filters);
            match tier {
                Tier::Host => test.arg("--quiet"),
                Tier::Kernel => &mut test,
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

/// What one call of `cargo test` runs: a line of the closing table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Batch {
    what: String,
    args: Vec<String>,
}

/// The batches of a tier: the units of all packages together, then each target by itself.
fn batches(targets: &[Target], tier: Tier) -> Vec<Batch> {
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

/// The variable by which cargo is told what runs a test binary on this machine.
fn runner_variable() -> String {
    format!(
        "CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER",
        env::consts::ARCH.to_uppercase()
    )
}

/// Runs it, shows what it says, and adds up libtest's results.
fn counted(test: &mut Command) -> Result<Count> {
    let mut child = test
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut count = Count::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cargo test's output")?;
        count.add(&line);
        println!("{line}");
    }
    let status = child.wait().context("cargo test")?;
    if !status.success() && count.failed == 0 {
        // A test process that died has no result line.
        count.failed = 1;
    }
    Ok(count)
}

impl Count {
    /// "test result: ok. 3 passed; 0 failed; 1 ignored; …"
    fn add(&mut self, line: &str) {
        let Some((_, fields)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for field in fields.split(';') {
            let mut words = field.split_whitespace();
            let (Some(Ok(number)), Some(word)) =
                (words.next().map(str::parse::<u32>), words.next())
            else {
                continue;
            };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
