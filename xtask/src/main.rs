//! The only door: `cargo xtask VERB`.
//!
//! Reads the verb and hands on. What a verb needs of compiler, linker and tools it finds or installs by itself
//! (`setup`). What xtask itself says goes to stderr: stdout belongs to what it runs, and to results.

mod apt;
mod bench;
mod build;
mod command;
mod contract;
mod ebpf;
mod lab;
mod linker;
mod object;
mod setup;
mod test;
mod tidy;
mod toolchain;
mod workspace;

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask VERB

  setup [build|lab|test|bench]
                              finds or installs what building, the lab, the tests and the benchmark need (default: what
                              building and the tests do)
  ebpf                        builds the programs: target/bpf/gwpool.o
  build                       builds the daemon with the programs inside: target/release/gwpool-user
  run [LAB OPTIONS]           builds, then shows the whole pool at work in network namespaces; takes all down again
  run -- ARGS...              builds, then runs `gwpool-user ARGS` on this host as root
  lab up|shell [HOST]|down    the same namespaces, to play in
  test [host|kernel|net] [FILTER...]
                              all tiers, or one; of them the targets that a FILTER names
                              (nat: net_nat, net_nat_...), or tests with it in their names
  bench [micro|pps|tcp|scale] [--only PART] [--rounds N] [--minutes N] [--rough] [--publish]
                              gwpool beside its peers, all four in under 25 minutes, or one: tables here, JSON and charts in
                              target/bench; --rough tries it out, --publish makes a run of all docs/bench and README's table
  bench routes [--routes N] [--backends N] | sweep [--flows N] | ports
                              tables of our own: many routes, many flows, one NAT address to its last port
  tidy                        the rules that no compiler checks

LAB OPTIONS: --datapath native|auto|tc|generic (default native), --keep (leave it up, say how to enter)

GWPOOL_BPF_OBJ=FILE uses a ready object, GWPOOL_BPF_RUSTC=FILE and GWPOOL_BPF_LINKER=FILE these tools.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((verb, rest)) = args.split_first() else {
        eprint!("{HELP}");
        return Ok(ExitCode::from(2));
    };
    match verb.as_str() {
        "help" | "-h" | "--help" => print!("{HELP}"),
        _ if rest
            .iter()
            .take_while(|arg| *arg != "--")
            .any(|arg| arg == "-h" || arg == "--help") =>
        {
            print!("{HELP}")
        }
        "setup" => setup::verb(rest)?,
        "ebpf" => ebpf::verb(&none(verb, rest)?)?,
        "build" => build::verb(&none(verb, rest)?)?,
        "run" => lab::run(rest)?,
        "lab" => lab::verb(rest)?,
        "test" => return test::verb(rest),
        "bench" => bench::verb(rest)?,
        "tidy" => return tidy::verb(&none(verb, rest)?),
        other => bail!("no verb `{other}`; see: cargo xtask help"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The workspace, for a verb that takes no arguments.
fn none(verb: &str, rest: &[String]) -> Result<workspace::Workspace> {
    if let Some(extra) = rest.first() {
        bail!("`{verb}` takes no argument, found `{extra}`; see: cargo xtask help");
    }
    workspace::Workspace::find()
}
