//! The command line: what people type, and the exit code they get.
//!
//! 0 done, 1 failed while running, 2 the input is wrong. What was asked for goes to stdout, everything else to stderr.

mod flows;

use crate::config::{self, Loaded, Sources};
use crate::daemon::{self, Places};
use crate::datapath::pins::Pins;
use crate::datapath::{attach, left};
use crate::plan::turns::WEIGHT_MAX;
use crate::stats::driver::{self, Error as SocketError};
use crate::stats::snapshot::Snapshot;
use crate::stats::table;
use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use tracing_subscriber::filter::LevelFilter;

/// Failed while running.
const FAILED: u8 = 1;
/// The input is wrong.
const WRONG: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "gwpool-user",
    version,
    about = "Gateway pools in XDP: forwards the routes of an Ansible inventory"
)]
struct Cli {
    #[command(flatten)]
    places: PlaceArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
struct PlaceArgs {
    /// Where the daemon's socket is
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/gwpool")]
    runtime_dir: PathBuf,
    /// Where programs and maps are pinned: on a bpf file system
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/sys/fs/bpf/gwpool"
    )]
    pin_dir: PathBuf,
    /// What outlives a reboot
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/var/lib/gwpool"
    )]
    state_dir: PathBuf,
}

#[derive(Debug, Args)]
struct SourceArgs {
    /// An inventory; may be given again
    #[arg(short, long = "inventory", required = true, value_name = "FILE")]
    inventory: Vec<PathBuf>,
    /// More variables: @FILE, or a map; may be given again
    #[arg(short, long = "extra-vars", value_name = "VARS")]
    extra: Vec<String>,
    /// The host to be [default: this machine's name]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what the inventory means for a node, or everything that is wrong with it
    Check {
        #[command(flatten)]
        sources: SourceArgs,
        /// Only the verdict
        #[arg(short, long)]
        quiet: bool,
    },
    /// Be the daemon, in the foreground
    Run {
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Say what the daemon and its programs have done
    Stats {
        /// For programs to read
        #[arg(long)]
        json: bool,
        /// Only this route
        route: Option<String>,
    },
    /// List flows and mappings, one a line, as conntrack does
    Flows(flows::FlowArgs),
    /// Read the inputs of `run` again and go over to what they say now; live flows stay
    Reload {
        /// For programs to read
        #[arg(long)]
        json: bool,
    },
    /// Send new connections of a route to the local stack (off), or forward them again (on); live flows stay
    Route {
        /// Which of the two
        switch: Switch,
        /// Its name; `*` and `?` stand for anything, '*' means all
        route: String,
    },
    /// Take a backend out of its route's turns, or back in (ready); live flows stay
    Backend {
        /// drain and maint give it no new connections, and stats says which of the two
        state: State,
        /// ROUTE/BACKEND; `*` and `?` stand for anything: '*/gateway-2', 'argocd/*'
        backend: String,
    },
    /// Change a backend's share of new connections; live flows stay
    Weight {
        /// ROUTE/BACKEND; `*` and `?` stand for anything: '*/gateway-2', 'argocd/*'
        backend: String,
        /// From 0 to 256, as in HAProxy; `plan`: what the inventory says
        weight: Weight,
    },
    /// Stop the daemon; the programs stay attached and live flows go on
    Stop {
        /// Take the programs off, too; works without a daemon
        #[arg(long)]
        detach: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Drain,
    Ready,
    Maint,
}

/// A weight set by hand; `None`: by the inventory again.
#[derive(Clone, Copy, Debug)]
struct Weight(Option<u16>);

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(weight) if weight <= WEIGHT_MAX => Ok(Weight(Some(weight))),
            _ if text == "plan" => Ok(Weight(None)),
            _ => Err(format!("wanted a number from 0 to {WEIGHT_MAX}, or plan")),
        }
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let Cli { places, verb } = Cli::parse();
    let places = Places {
        runtime_dir: places.runtime_dir,
        pin_dir: places.pin_dir,
        state_dir: places.state_dir,
    };
    let done = match verb {
        Verb::Check { sources, quiet } => return check(&sources.into(), quiet),
        Verb::Run { sources } => {
            let sources = sources.into();
            match read(&sources) {
                Ok(loaded) => run(sources, loaded, &places),
                Err(code) => return code,
            }
        }
        Verb::Stats { json, route } => stats(&places, json, route.as_deref()),
        Verb::Flows(args) => flows::show(&places, &args),
        Verb::Reload { json } => reload(&places, json),
        Verb::Route { switch, route } => {
            let on = matches!(switch, Switch::On);
            let answer = ask(
                &places,
                &json!({ "verb": "route", "route": route, "on": on }),
            );
            answer.map(|answer| {
                for route in texts(&answer["disabled"]) {
                    eprintln!("{route} stays off: the inventory says enabled: false");
                }
            })
        }
        Verb::Backend { state, backend } => {
            let state = match state {
                State::Drain => "drain",
                State::Ready => "ready",
                State::Maint => "maint",
            };
            change(
                &places,
                &json!({ "verb": "backend", "backend": backend, "state": state }),
            )
        }
        Verb::Weight { backend, weight } => change(
            &places,
            &json!({ "verb": "weight", "backend": backend, "weight": weight.0 }),
        ),
        Verb::Stop { detach } => stop(&places, detach),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gwpool-user: {error:#}");
            let wrong = matches!(error.downcast_ref(), Some(SocketError::Wrong(_)));
            ExitCode::from(if wrong { WRONG } else { FAILED })
        }
    }
}

impl From<SourceArgs> for Sources {
    fn from(args: SourceArgs) -> Self {
        Sources {
            inventories: args.inventory,
            extra: args.extra,
            node: args.node,
        }
    }
}

fn read(sources: &Sources) -> Result<Loaded, ExitCode> {
    config::load(sources).map_err(|report| {
        eprintln!("{report}");
        ExitCode::from(WRONG)
    })
}

fn check(sources: &Sources, quiet: bool) -> ExitCode {
    let loaded = match read(sources) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if quiet {
        return ExitCode::SUCCESS;
    }
    let text = config::table(&loaded);
    printed(&text).map_or_else(|_| ExitCode::from(FAILED), |()| ExitCode::SUCCESS)
}

fn run(sources: Sources, loaded: Loaded, places: &Places) -> Result<()> {
    let level = std::env::var("GWPOOL_LOG").ok();
    let level = level
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(daemon::run(sources, loaded, places));
    // A reload may be waiting for somebody's name server.
    runtime.shutdown_background();
    ended
}

fn ask(places: &Places, request: &Value) -> Result<Value> {
    Ok(driver::ask(&places.runtime_dir, request)?)
}

fn reload(places: &Places, json: bool) -> Result<()> {
    let answer = ask(places, &json!({ "verb": "reload" }))?;
    for note in texts(&answer["notes"]) {
        eprintln!("{note}");
    }
    let text = if json {
        format!("{answer:#}\n")
    } else if answer["changed"] == true {
        format!(
            "changed: {} map writes, {} ms\n",
            answer["writes"], answer["ms"]
        )
    } else {
        format!("not changed, {} ms\n", answer["ms"])
    };
    printed(&text).context("cannot write to stdout")
}

/// Changes backends, and says which of their routes now refuse everybody.
fn change(places: &Places, request: &Value) -> Result<()> {
    let answer = ask(places, request)?;
    for route in texts(&answer["without_backend"]) {
        eprintln!("no backend of {route} takes turns now: new connections get no_live_backend");
    }
    let names: Vec<&str> = texts(&answer["backends"]).collect();
    printed(&format!("{}\n", names.join("\n"))).context("cannot write to stdout")
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn stats(places: &Places, json: bool, route: Option<&str>) -> Result<()> {
    let mut answer = ask(places, &json!({ "verb": "stats" }))?;
    let snapshot: Snapshot =
        serde_json::from_value(answer.clone()).context("the daemon's answer is not understood")?;
    if let Some(name) = route {
        let known: Vec<&str> = snapshot
            .routes
            .iter()
            .map(|route| route.name.as_str())
            .collect();
        if !known.contains(&name) {
            let why = format!("no route is called {name}; there are: {}", known.join(", "));
            return Err(SocketError::Wrong(why).into());
        }
        if let Some(routes) = answer["routes"].as_array_mut() {
            routes.retain(|route| route["name"] == name);
        }
    }
    let text = if json {
        format!("{answer:#}\n")
    } else {
        table::render(&snapshot, route)
    };
    printed(&text).context("cannot write to stdout")
}

fn stop(places: &Places, detach: bool) -> Result<()> {
    match driver::stop(&places.runtime_dir) {
        Err(SocketError::NoDaemon { .. }) if detach => {}
        stopped => stopped?,
    }
    if !detach {
        return Ok(());
    }
    let pins = Pins::new(&places.pin_dir);
    let translation = left::translation(&pins);
    let links = attach::detach_all(&pins)?;
    pins.remove_maps()?;
    printed(&format!(
        "{links} link(s) taken off, nothing is pinned under {} any more\n",
        places.pin_dir.display()
    ))
    .context("cannot write to stdout")?;
    let leaks = translation.map(|translation| translation.leaks() + "\n");
    printed(&leaks.unwrap_or_default()).context("cannot write to stdout")
}

/// A reader that has seen enough closes the pipe: no panic then.
fn printed(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests;
