//! The lab's binary as a person uses it: it ends well when all is well, and whenever it is interrupted it leaves no
//! namespace, mount, directory or process.

use anyhow::{Context, Result};
use gwpool_harness::net::gateway::lab_binary;
use gwpool_harness::net::namespace::list;
use gwpool_harness::net::run::directory;
use gwpool_harness::net::wait::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// Five gateways, two inside hosts, a client, a router, the internet host and the fabric.
const HOSTS: usize = 11;

/// `lab run` in its own process group, its lines to be read.
fn lab_run() -> Result<Child> {
    let mut lab = Command::new(lab_binary()?);
    lab.arg("run")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    lab.spawn().context("starting the lab")
}

/// The id that `lab run` takes.
fn id(lab: &Child) -> String {
    format!("run{}-1", lab.id())
}

fn assert_nothing_left(id: &str) -> Result<()> {
    assert!(list(&format!("gwpool-{id}-"))?.is_empty());
    assert!(!directory(id).exists());
    assert!(!std::fs::read_to_string("/proc/self/mounts")?.contains(id));
    let command_lines = std::fs::read_dir("/proc")?.flatten();
    let command_lines = command_lines
        .map(|process| std::fs::read(process.path().join("cmdline")).unwrap_or_default());
    let ours = directory(id).display().to_string();
    let left: Vec<_> = command_lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect();
    assert!(left.iter().all(|line| !line.contains(&ours)), "{left:?}");
    Ok(())
}

/// Interrupts it at the first line that says this.
fn interrupted_at(stage: &str, signal: Signal) -> Result<()> {
    let mut lab = lab_run()?;
    let id = id(&lab);
    let mut output = BufReader::new(lab.stdout.take().context("the lab has no output")?).lines();
    loop {
        let line = output
            .next()
            .with_context(|| format!("it ended without a word of {stage:?}"))??;
        if line.contains(stage) {
            break;
        }
    }
    assert!(
        !list(&format!("gwpool-{id}-"))?.is_empty(),
        "nothing to leave behind yet"
    );
    kill(Pid::from_raw(lab.id() as i32), signal)?;
    output.for_each(drop);
    assert_eq!(lab.wait()?.code(), Some(128 + signal as i32));
    assert_nothing_left(&id)
}

#[test]
fn lab_run_shows_both_pools_and_leaves_nothing() -> Result<()> {
    let lab = lab_run()?;
    let id = id(&lab);
    let output = lab.wait_with_output()?;
    let (text, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{text}{complaints}");
    for claim in [
        "540 requests answered",
        "thirds, to the request",
        "192.168.1.11:40000 was answered; seen there as 10.9.0.4:40000",
        "leaks: none seen",
        "inside hosts go out as gateway-4",
    ] {
        assert!(text.contains(claim), "no {claim:?} in {text}");
    }
    assert_nothing_left(&id)
}

#[test]
fn interrupted_while_the_nat_pair_is_cabled_it_leaves_nothing() -> Result<()> {
    interrupted_at("a client and gateway-1", Signal::SIGINT)
}

#[test]
fn interrupted_while_daemons_start_it_leaves_nothing() -> Result<()> {
    interrupted_at("web servers listen", Signal::SIGINT)
}

#[test]
fn interrupted_while_driving_it_leaves_nothing() -> Result<()> {
    interrupted_at("gwpool-user runs", Signal::SIGINT)
}

#[test]
fn interrupted_while_inside_hosts_ask_it_leaves_nothing() -> Result<()> {
    interrupted_at("inside hosts ask", Signal::SIGINT)
}

#[test]
fn terminated_it_leaves_nothing() -> Result<()> {
    interrupted_at("gwpool-user runs", Signal::SIGTERM)
}

#[test]
fn interrupted_while_building_links_it_leaves_nothing() -> Result<()> {
    let mut lab = lab_run()?;
    let id = id(&lab);
    let begun = || list(&format!("gwpool-{id}-")).is_ok_and(|namespaces| !namespaces.is_empty());
    wait_until("the first namespace", LIMIT, begun)?;
    kill(Pid::from_raw(lab.id() as i32), Signal::SIGINT)?;
    assert_eq!(lab.wait()?.code(), Some(128 + Signal::SIGINT as i32));
    assert_nothing_left(&id)
}

#[test]
fn what_a_killed_lab_leaves_the_next_one_sweeps() -> Result<()> {
    let mut lab = lab_run()?;
    let killed = id(&lab);
    let begun =
        || list(&format!("gwpool-{killed}-")).is_ok_and(|namespaces| namespaces.len() == HOSTS);
    wait_until("all namespaces", LIMIT, begun)?;
    lab.kill()?;
    lab.wait()?;
    assert!(
        !list(&format!("gwpool-{killed}-"))?.is_empty(),
        "SIGKILL leaves everything"
    );
    lab_run_shows_both_pools_and_leaves_nothing()?;
    assert_nothing_left(&killed)
}
