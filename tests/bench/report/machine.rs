//! Where and when figures were taken, and of which state of the sources.

use gwpool_harness::net::namespace::output;
use gwpool_harness::net::site::project;
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

/// One machine at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The CPU's model.
    pub cpu: String,
    /// CPUs.
    pub cpus: usize,
    /// Memory, GiB, to the nearest.
    pub memory_gib: u64,
    /// Linux.
    pub kernel: String,
    /// The day, UTC.
    pub date: String,
    /// The commit; ends in `+` where files differ from it.
    pub commit: String,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let kib = value(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
            .unwrap_or(0);
        Machine {
            cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
            commit: commit(),
        }
    }

    /// `2 x AMD EPYC, 24 GiB, Linux 6.18.44; 2026-11-22, commit a19c965`
    pub fn line(&self) -> String {
        let Machine {
            cpu,
            cpus,
            memory_gib,
            kernel,
            date,
            commit,
        } = self;
        format!("{cpus} x {cpu}, {memory_gib} GiB, Linux {kernel}; {date}, commit {commit}")
    }
}

/// `NAME : VALUE`, as the kernel's text files have it.
fn value(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = line.split_once(':')?;
    Some(value.trim().to_owned())
}

fn commit() -> String {
    // Who runs this as root is not who owns the sources.
    let root = project();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-c")
            .arg(format!("safe.directory={}", root.display()));
        said(git.arg("-C").arg(root).args(arguments))
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let commit = git(&["rev-parse", "--short", "HEAD"]);
    match changed.as_str() {
        "" | UNKNOWN => commit,
        _ => commit + "+",
    }
}

const UNKNOWN: &str = "unknown";

fn unknown() -> String {
    UNKNOWN.to_owned()
}

/// What it says, if anything: a bench does not fail for it.
fn said(command: &mut Command) -> String {
    output(command).map_or_else(|_| unknown(), |text| text.trim().to_owned())
}
