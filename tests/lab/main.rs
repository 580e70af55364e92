//! `lab`: the seed's topology in network namespaces, to look at and to play in. `cargo xtask run` and
//! `cargo xtask lab` build what it needs and then become it.
//!
//! `run` shows the pools at work and takes everything down; `up` leaves it to a background process (`serve`) that
//! owns servers and daemons; `shell` enters a host; `down` ends that process.

mod background;
mod drive;
mod outbound;
mod shell;

use anyhow::Result;
use clap::{Parser, Subcommand};
use gwpool_harness::net::fabric::Datapath;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "lab",
    about = "The seed's topology in network namespaces, with gwpool on its gateways"
)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Builds it, drives real requests over all routes through each gateway and from inside hosts out, and takes it down
    Run {
        /// native, auto, tc or generic
        #[arg(long, default_value = "native")]
        datapath: Datapath,
        /// Leaves it up, as `up` does
        #[arg(long)]
        keep: bool,
    },
    /// Builds it and leaves it up
    Up {
        /// native, auto, tc or generic
        #[arg(long, default_value = "native")]
        datapath: Datapath,
    },
    /// A shell on one of its hosts
    Shell {
        /// client, gateway-1 to gateway-5, box-1, box-2, internet, router or fabric
        #[arg(default_value = "client")]
        host: String,
    },
    /// Takes it down
    Down,
    /// What stays behind `up`
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        datapath: Datapath,
    },
}

fn main() -> ExitCode {
    match verb(Command::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn verb(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Run {
            datapath,
            keep: false,
        } => return drive::run(datapath),
        Verb::Run {
            datapath,
            keep: true,
        } => {
            let site = background::up(datapath)?;
            let code = drive::show(&site)?;
            shell::print_ways_in(&site);
            return Ok(code);
        }
        Verb::Up { datapath } => shell::print_ways_in(&background::up(datapath)?),
        Verb::Shell { host } => shell::enter(&host)?,
        Verb::Down => background::down()?,
        Verb::Serve { datapath } => background::serve(datapath)?,
    }
    Ok(ExitCode::SUCCESS)
}
