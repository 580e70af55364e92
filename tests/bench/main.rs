//! `bench`: what things cost, in tables. `cargo xtask bench` builds what it needs, optimised, and then becomes it.

mod contest;
mod micro;

use anyhow::Result;
use clap::{Parser, Subcommand};
use contest::{Entry, Rules};
use gwpool_harness::scale::{Figures, Size};
use gwpool_harness::{bed, crowd, ports};
use micro::Micro;

#[derive(Parser)]
#[command(name = "bench", about = "What things cost, in tables")]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// What a packet costs the programs, beside programs that do next to nothing
    Micro {
        #[command(flatten)]
        rules: Rules,
    },
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

fn micro(rules: Rules) -> Result<()> {
    let figures = contest::hold(&mut Micro::new()?, &rules);
    for row in &figures.rows {
        let Entry { task, contestant } = &row.entry;
        if let Some(spread) = row.spread() {
            println!("{task:<24} {contestant:<16} {spread}");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let verb = Command::parse().verb;
    if let Verb::Micro { rules } = verb {
        return micro(rules);
    }
    bed::build()?;
    match verb {
        Verb::Micro { rules } => micro(rules)?,
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
