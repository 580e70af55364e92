//! `cargo xtask setup`: finds or installs what is needed, says what and how long; a no-op the second time.
//!
//! Every other verb calls the part of it that it needs, silently where nothing is missing. The tables here are the
//! only list of what gwpool's building and testing takes from the system.

use crate::toolchain::{self, Compiler, OLDEST};
use crate::{apt, command, linker};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// What something is needed for; each needs all of those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The lab: `cargo xtask run`, `lab`.
    Lab,
    /// The tests that need root: everything of the lab, and real peers.
    Test,
    /// The benchmark beside the peers: everything of the tests, and the peers.
    Bench,
}

/// A program the system must have.
struct Tool {
    name: &'static str,
    package: &'static str,
    need: Need,
    why: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "ip",
        package: "iproute2",
        need: Need::Lab,
        why: "namespaces, links, addresses",
    },
    Tool {
        name: "tc",
        package: "iproute2",
        need: Need::Lab,
        why: "delay between hosts, filters beside ours",
    },
    Tool {
        name: "ethtool",
        package: "ethtool",
        need: Need::Lab,
        why: "offloads of the lab's hosts",
    },
    Tool {
        name: "ping",
        package: "iputils-ping",
        need: Need::Lab,
        why: "an inside host's queries",
    },
    Tool {
        name: "curl",
        package: "curl",
        need: Need::Lab,
        why: "a real client",
    },
    Tool {
        name: "traceroute",
        package: "traceroute",
        need: Need::Lab,
        why: "shows the gateway as a hop",
    },
    Tool {
        name: "nft",
        package: "nftables",
        need: Need::Test,
        why: "a gateway's own firewall rules",
    },
    Tool {
        name: "nginx",
        package: "nginx-light",
        need: Need::Test,
        why: "a real server",
    },
    Tool {
        name: "haproxy",
        package: "haproxy",
        need: Need::Bench,
        why: "a peer",
    },
    Tool {
        name: "iptables",
        package: "iptables",
        need: Need::Bench,
        why: "a peer",
    },
    Tool {
        name: "wrk",
        package: "wrk",
        need: Need::Bench,
        why: "asks by HTTP as fast as it is answered",
    },
    Tool {
        name: "iperf3",
        package: "iperf3",
        need: Need::Bench,
        why: "sends as fast as it is taken",
    },
    Tool {
        name: "taskset",
        package: "util-linux",
        need: Need::Bench,
        why: "client and server each on a core of their own",
    },
];

/// Debian's compiler that comes with the library's source.
const COMPILER_PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];

/// What the programs are built with.
pub struct Tools {
    /// Builds `core` for BPF.
    pub compiler: Compiler,
    /// Links for BPF.
    pub linker: PathBuf,
}

/// `setup [build|lab|test|bench]`.
pub fn verb(args: &[String]) -> Result<()> {
    let (build, need) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (true, Some(Need::Test)),
        ["build"] => (true, None),
        ["lab"] => (false, Some(Need::Lab)),
        ["test"] => (false, Some(Need::Test)),
        ["bench"] => (false, Some(Need::Bench)),
        _ => bail!(
            "setup knows build, lab, test and bench, or build and test without a word; found `{}`",
            args.join(" ")
        ),
    };
    let start = Instant::now();
    if build {
        let tools = build_tools()?;
        let version = &tools.compiler.version;
        let compiler = tools.compiler.rustc.display();
        eprintln!(
            "setup: compiler {compiler} {} (LLVM {}), with library source",
            version.release, version.llvm
        );
        eprintln!("setup: linker {}", tools.linker.display());
    }
    if let Some(need) = need {
        system_tools(need)?;
        for tool in needed(need) {
            let place = command::find(tool.name).map(|file| file.display().to_string());
            eprintln!(
                "setup: {:<8} {} ({})",
                tool.name,
                place.unwrap_or_default(),
                tool.why
            );
        }
    }
    eprintln!("setup: all there, {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The compiler and the linker, installed if they are missing.
pub fn build_tools() -> Result<Tools> {
    let compiler = match toolchain::find() {
        Ok(compiler) => compiler,
        Err(refusals) => install_compiler(refusals)?,
    };
    let linker = match linker::find(&compiler)? {
        Some(linker) => linker,
        None => timed(
            &format!("building bpf-linker {} (about a minute)", linker::VERSION),
            || linker::install(&compiler),
        )?,
    };
    Ok(Tools { compiler, linker })
}

/// The programs of the table, installed by one apt call if some are missing.
pub fn system_tools(need: Need) -> Result<()> {
    let missing: Vec<&Tool> = needed(need)
        .filter(|tool| command::find(tool.name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let names: Vec<String> = missing
        .iter()
        .map(|tool| format!("{} ({})", tool.name, tool.why))
        .collect();
    let names = names.join(", ");
    if let Err(error) = apt::usable() {
        bail!(
            "missing: {names}; not installed ({error}). On Debian: sudo {}",
            apt::line(&packages)
        );
    }
    timed(&apt::line(&packages), || apt::install(&packages))
        .with_context(|| format!("missing: {names}"))
}

fn needed(need: Need) -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(move |tool| tool.need <= need)
}

/// By Debian's packages, else by rustup's component, else an error that tells all that was tried.
fn install_compiler(mut refusals: Vec<String>) -> Result<Compiler> {
    if std::env::var_os("GWPOOL_BPF_RUSTC").is_none() {
        for way in [by_apt, by_rustup] {
            refusals.extend(way());
            match toolchain::find() {
                Ok(compiler) => return Ok(compiler),
                Err(still) => refusals.extend(still),
            }
        }
        let mut seen = BTreeSet::new();
        refusals.retain(|refusal| seen.insert(refusal.clone()));
    }
    bail!(
        "no compiler here can build `core` for BPF: it takes rustc {OLDEST} or newer with its library source.\n  {}\n\
         What helps: `rustup component add rust-src`, or on Debian: sudo {}",
        refusals.join("\n  "),
        apt::line(COMPILER_PACKAGES)
    )
}

/// Debian's compiler and library source; what went wrong.
fn by_apt() -> Vec<String> {
    let line = apt::line(COMPILER_PACKAGES);
    let done = apt::usable().and_then(|()| timed(&line, || apt::install(COMPILER_PACKAGES)));
    done.err()
        .map(|error| format!("installing by apt: {error:#}"))
        .into_iter()
        .collect()
}

/// The library source for rustup's toolchains, one after the other, until one of them will do; what went wrong.
fn by_rustup() -> Vec<String> {
    let mut refusals = Vec::new();
    for toolchain in toolchain::rustup_toolchains() {
        let mut add = Command::new("rustup");
        add.args([
            "component",
            "add",
            "rust-src",
            "--toolchain",
            &toolchain.name,
        ]);
        match timed(&command::line(&add), || command::output(&mut add)) {
            Ok(_) if toolchain::find().is_ok() => break,
            Ok(_) => {}
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    refusals
}

/// Says what is being done, and how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("setup: {what} …");
    let start = Instant::now();
    let done = work();
    let outcome = if done.is_ok() { "done" } else { "failed" };
    eprintln!("setup: {outcome} in {:.1} s", start.elapsed().as_secs_f64());
    done
}
