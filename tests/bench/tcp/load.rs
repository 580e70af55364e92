//! What is put on a contestant: wrk or iperf3 from the client's core, what they say, and what the machine had to do
//! for it.

use super::standing::{HTTP, STREAM, Standing, pinned};
use crate::contest::Metric;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::process::Stdio;

/// Seconds beyond its shot after which a client is ended.
const GRACE_S: u32 = 10;

const REQUESTS: Metric = metric("requests", "1/s");
const P50: Metric = metric("p50", "us");
const P99: Metric = metric("p99", "us");
const REQUEST_CPU: Metric = metric("CPU per request", "us");
const THROUGHPUT: Metric = metric("throughput", "Gb/s");
const VOLUME_CPU: Metric = metric("CPU per GB", "ms");

const fn metric(name: &'static str, unit: &'static str) -> Metric {
    Metric { name, unit }
}

/// Clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// wrk: so many connections, kept or each for one request.
    Requests {
        /// At a time.
        connections: u32,
        /// Closed after each answer.
        close: bool,
    },
    /// iperf3: so many streams at once.
    Streams(u32),
}

impl Load {
    /// 64 connections that stay.
    pub const KEEP_ALIVE: Load = Load::Requests {
        connections: 64,
        close: false,
    };
    /// A connection for each request, 64 at a time.
    pub const CLOSE: Load = Load::Requests {
        connections: 64,
        close: true,
    };
    /// One request after the other.
    pub const ONE: Load = Load::Requests {
        connections: 1,
        close: false,
    };

    /// One shot.
    pub fn put_on(self, standing: &Standing, seconds: u32) -> Result<Vec<(Metric, f64)>> {
        let before = busy_us()?;
        let said = self.run(standing, seconds)?;
        let spent = busy_us()? - before;
        match self {
            Load::Requests { .. } => {
                let answers = Answers::read(&said).context("wrk")?;
                Ok(vec![
                    (REQUESTS, answers.per_second),
                    (P50, answers.p50_us),
                    (P99, answers.p99_us),
                    (REQUEST_CPU, spent / answers.count),
                ])
            }
            Load::Streams(_) => {
                let moved = Moved::read(&said).context("iperf3")?;
                Ok(vec![
                    (THROUGHPUT, moved.bits_per_second / 1e9),
                    (VOLUME_CPU, spent / 1e3 / (moved.bytes / 1e9)),
                ])
            }
        }
    }

    /// Runs the client to its end; what it printed.
    fn run(self, standing: &Standing, seconds: u32) -> Result<String> {
        let (client, core) = (&standing.row.client, standing.cores.client);
        let mut command = pinned(client, core, "timeout");
        command.arg((seconds + GRACE_S).to_string());
        match self {
            Load::Requests { connections, close } => {
                let count = connections.to_string();
                command.args([
                    "wrk",
                    "--latency",
                    "--threads",
                    "1",
                    "--connections",
                    &count,
                ]);
                command.args(["--duration", &format!("{seconds}s")]);
                if close {
                    command.args(["--header", "Connection: close"]);
                }
                command.arg(format!("http://{}:{HTTP}/", standing.target));
            }
            Load::Streams(streams) => {
                let target = standing.target.to_string();
                command.args(["iperf3", "--json", "--client", &target]);
                command.args([
                    "--port",
                    &STREAM.to_string(),
                    "--time",
                    &seconds.to_string(),
                ]);
                command.args(["--parallel", &streams.to_string()]);
                // What Linux comes with, whatever this machine was given since.
                command.args(["--congestion", "cubic"]);
            }
        }
        let output = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // iperf3 puts what went wrong into its figures.
        if output.status.success() || said.starts_with('{') {
            return Ok(said);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {} {}", output.status, complaint.trim(), said.trim())
    }
}

/// What wrk has counted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answers {
    count: f64,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Answers {
    /// From what it prints. Answers that are errors, and sockets that broke, are no figure.
    fn read(said: &str) -> Result<Answers> {
        for trouble in ["Socket errors:", "Non-2xx"] {
            let line = said.lines().find(|line| line.contains(trouble));
            ensure!(line.is_none(), "{}", line.unwrap_or_default().trim());
        }
        let after = |word: &str| {
            let mut lines = said
                .lines()
                .filter_map(|line| line.trim().strip_prefix(word));
            lines.next().map(str::trim)
        };
        let count = said
            .lines()
            .find_map(|line| line.trim().split_once(" requests in "));
        let count: f64 = count.context("no number of requests")?.0.parse()?;
        ensure!(count > 0.0, "nothing was answered");
        Ok(Answers {
            count,
            per_second: after("Requests/sec:").context("no rate")?.parse()?,
            p50_us: microseconds(after("50%").context("no median")?)?,
            p99_us: microseconds(after("99%").context("no 99th percentile")?)?,
        })
    }
}

/// `444.00us`, `1.20ms`, `2.00s`.
fn microseconds(text: &str) -> Result<f64> {
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(factor * number.parse::<f64>().with_context(|| text.to_owned())?);
        }
    }
    bail!("{text} is no time")
}

/// What iperf3's server has received.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moved {
    bytes: f64,
    bits_per_second: f64,
}

impl Moved {
    fn read(said: &str) -> Result<Moved> {
        let said: Value = serde_json::from_str(said)?;
        if let Some(error) = said["error"].as_str() {
            bail!("{error}");
        }
        let received = &said["end"]["sum_received"];
        let field = |name: &str| {
            let value = received[name].as_f64().filter(|value| *value > 0.0);
            value.with_context(|| format!("no {name}"))
        };
        Ok(Moved {
            bytes: field("bytes")?,
            bits_per_second: field("bits_per_second")?,
        })
    }
}

/// What all cores together have been busy with so far, microseconds: everything but idling and waiting (proc_stat(5)).
fn busy_us() -> Result<f64> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?;
    let ticks = ticks.context("the kernel's clock has no rate")? as f64;
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields = line.split_whitespace().skip(1);
    let fields: Vec<f64> = fields.map(|word| word.parse().unwrap_or(0.0)).collect();
    // user nice system idle iowait irq softirq
    let busy: f64 = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|at| fields.get(*at))
        .sum();
    Ok(busy * 1e6 / ticks)
}

#[cfg(test)]
mod tests;
