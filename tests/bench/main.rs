//! `bench`: what things cost, in tables. `cargo xtask bench` builds what it needs, optimised, and then becomes it.

mod contest;
mod floors;
mod micro;
mod peers;
mod pps;
mod report;
mod row;
mod scale;
mod tcp;

use anyhow::{Result, bail, ensure};
use clap::{Parser, Subcommand};
use contest::{Figures, Ground, Rules};
use gwpool_harness::scale::{Figures as RouteFigures, Size};
use gwpool_harness::{bed, crowd, ports};
use micro::Micro;
use pps::Pps;
use report::Report;
use scale::Scale;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tcp::Tcp;

#[derive(Parser)]
#[command(name = "bench", about = "What things cost, in tables")]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// gwpool beside its peers, taking turns
    Contest {
        /// Only this one
        bench: Option<String>,
        #[command(flatten)]
        rules: Rules,
        /// Makes the figures those that README shows
        #[arg(long, conflicts_with = "bench")]
        publish: bool,
    },
    /// Many routes: laying them, changing one, taking them over, and what a packet costs then
    Routes {
        /// Routes
        #[arg(long, default_value_t = 10_000)]
        routes: usize,
        /// Backends of each
        #[arg(long, default_value_t = 10)]
        backends: usize,
        /// How often everything is measured
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// One NAT address, given out to its last port: what a new mapping costs on the way
    Ports {
        /// How often it is filled
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Many flows, made by packets: what a pass of the sweep costs, and the memory of one
    Sweep {
        /// Flows
        #[arg(long, default_value_t = 1_000_000)]
        flows: u32,
    },
}

/// A contest that can be held.
struct Bench {
    name: &'static str,
    /// The time it has, setting up included.
    minutes: f64,
    /// Sets it up. In a thread of its own: what it does to that (a network namespace, one CPU) ends with it.
    ground: fn() -> Result<Box<dyn Ground>>,
}

/// All contests, in the order of a run of all.
const BENCHES: &[Bench] = &[
    Bench {
        name: "micro",
        minutes: 4.0,
        ground: || Ok(Box::new(Micro::new()?)),
    },
    Bench {
        name: "pps",
        minutes: 6.0,
        ground: || Ok(Box::new(Pps::new()?)),
    },
    Bench {
        name: "tcp",
        minutes: 9.0,
        ground: || Ok(Box::new(Tcp::new()?)),
    },
    Bench {
        name: "scale",
        minutes: 4.0,
        ground: || Ok(Box::new(Scale::new()?)),
    },
];

fn main() -> Result<ExitCode> {
    match Command::parse().verb {
        Verb::Contest {
            bench,
            rules,
            publish,
        } => return contest(bench.as_deref(), &rules, publish),
        Verb::Routes {
            routes,
            backends,
            rounds,
        } => {
            bed::build()?;
            let size = Size { routes, backends };
            print!("{}", RouteFigures::measure(size, rounds)?);
        }
        Verb::Ports { rounds } => {
            bed::build()?;
            print!("{}", ports::Figures::measure(rounds)?);
        }
        Verb::Sweep { flows } => {
            bed::build()?;
            println!("{}", crowd::figures(flows)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Holds one contest, or all. Whatever the figures are is a success; a contest that cannot be set up is not.
fn contest(only: Option<&str>, rules: &Rules, publish: bool) -> Result<ExitCode> {
    ensure!(
        !publish || !rules.rough && rules.only.is_none(),
        "what is published is all of it, and not rough"
    );
    let wanted = |bench: &&Bench| only.is_none_or(|name| name == bench.name);
    let benches: Vec<&Bench> = BENCHES.iter().filter(wanted).collect();
    if benches.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("bench what? {}", known.join(", "));
    }
    let mut figures = Vec::new();
    for bench in benches {
        figures.push(bench.hold(rules)?);
    }
    let failed = figures.iter().any(|figures| figures.failed.is_some());
    let report = Report::new(rules.clone(), figures);
    print!("{}", report.tables());
    let folder = report.write(only.unwrap_or("figures"))?;
    eprintln!("bench: JSON and charts are in {}", folder.display());
    if publish {
        ensure!(!failed, "what was not held is not published");
        report.publish()?;
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Bench {
    fn hold(&self, rules: &Rules) -> Result<Figures> {
        let (name, set_up) = (self.name, self.ground);
        let minutes = rules.minutes.unwrap_or(self.minutes);
        let time = Duration::from_secs_f64(60.0 * minutes);
        let rules = rules.clone();
        let held = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let start = Instant::now();
                eprintln!("{name}: setting up");
                let mut ground = match set_up() {
                    Ok(ground) => ground,
                    Err(error) => {
                        eprintln!("{name}: not held: {error:#}");
                        return Figures {
                            bench: name,
                            failed: Some(format!("{error:#}")),
                            ..Figures::default()
                        };
                    }
                };
                let took = start.elapsed();
                let mut figures = contest::hold(&mut *ground, &rules, time.saturating_sub(took));
                figures.seconds += took.as_secs_f64();
                figures
            })?;
        // A panic has ended the process.
        held.join()
            .map_err(|_| anyhow::anyhow!("{name}: the contest broke off"))
    }
}
