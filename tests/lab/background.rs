//! The lab that stays: `up` starts this binary again as `serve`, in a session of its own, and passes its progress on
//! until it says it is ready; `down` ends it by its recorded pid and waits until it has removed everything.

use crate::drive;
use anyhow::{Context, Result, bail};
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::run::{self, Owner};
use gwpool_harness::net::site::Site;
use gwpool_harness::net::wait::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The run that `lab shell` and `lab down` look for.
pub const ID: &str = "lab";
/// The line by which `serve` says that all is up.
const READY: &str = "ready";
/// How long taking it down may last.
const DOWN_LIMIT: Duration = Duration::from_secs(15);

/// Builds the lab and leaves it to a background process.
pub fn up(datapath: Datapath) -> Result<Site> {
    let log = std::env::temp_dir().join(format!("gwpool-lab-{}.log", std::process::id()));
    let complaints =
        std::fs::File::create(&log).with_context(|| format!("creating {}", log.display()))?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", "--datapath", datapath.name()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints)
        .spawn()
        .context("starting the lab's background process")?;
    let progress = child
        .stdout
        .take()
        .context("the background process has no output")?;
    let mut ready = false;
    for line in BufReader::new(progress).lines() {
        match line?.as_str() {
            READY => {
                ready = true;
                break;
            }
            line => println!("{line}"),
        }
    }
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    if !ready {
        child.wait()?;
        bail!(
            "the lab did not come up: {}",
            text.trim().trim_start_matches("error: ")
        );
    }
    eprint!("{text}");
    Ok(Site::of(ID))
}

/// The background process: builds, says so, and holds it until a signal comes.
pub fn serve(datapath: Datapath) -> Result<()> {
    nix::unistd::setsid().context("leaving the terminal's session")?;
    let _world = drive::build(ID, datapath)?;
    writeln!(std::io::stdout(), "{READY}").context("saying that all is up")?;
    loop {
        // The signal thread takes everything down and ends the process.
        std::thread::park();
    }
}

/// Ends the background process; what a dead one left is removed here.
pub fn down() -> Result<()> {
    let Some(owner) = Owner::read(ID) else {
        println!("lab: nothing is up");
        return Ok(());
    };
    if owner.alive() {
        kill(Pid::from_raw(owner.pid), Signal::SIGTERM).context("ending the lab's process")?;
        let gone = || !owner.alive();
        if wait_until("the lab's process to end", DOWN_LIMIT, gone).is_err() && owner.alive() {
            kill(Pid::from_raw(owner.pid), Signal::SIGKILL).context("killing the lab's process")?;
            wait_until("the lab's process to be gone", DOWN_LIMIT, gone)?;
        }
    }
    run::remove(ID)?;
    println!("lab: down");
    Ok(())
}
