//! `bench`: what things cost, in tables. `cargo xtask bench` builds what it needs, optimised, and then becomes it.

mod contest;

use anyhow::Result;
use clap::{Parser, Subcommand};
use gwpool_harness::scale::{Figures, Size};
use gwpool_harness::{bed, crowd, ports};

#[derive(Parser)]
#[command(name = "bench", about = "What things cost, in tables")]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Many routes: laying them, changing one, taking them over, and what a packet costs then
    Scale {
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

fn main() -> Result<()> {
    let verb = Command::parse().verb;
    bed::build()?;
    match verb {
        Verb::Scale {
            routes,
            backends,
            rounds,
        } => print!("{}", Figures::measure(Size { routes, backends }, rounds)?),
        Verb::Ports { rounds } => print!("{}", ports::Figures::measure(rounds)?),
        Verb::Sweep { flows } => println!("{}", crowd::figures(flows)?),
    }
    Ok(())
}
