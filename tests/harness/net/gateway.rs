//! A gateway and the daemon on it: its places, its command line, starting, killing, and what its log says.
//! What answers on its ports is `nodeport`; what the daemon reports is `stats`.

use super::fabric::Datapath;
use super::namespace::{Namespace, output};
use super::run::{self, gate};
use super::site::project;
use super::stats::Stats;
use super::wait::wait_for;
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a daemon may take to answer its first `stats`.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Lines of its log that an error shows.
const LOG_LINES: usize = 20;

/// Where one gateway is.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name in the inventory.
    pub name: String,
    /// Its network namespace.
    pub namespace: Namespace,
    /// Everything of this gateway that is a file.
    pub directory: PathBuf,
    /// The inventory file the seed lacks.
    pub addresses_file: PathBuf,
    /// Its address on gateway-network.
    pub gateway_network: Ipv4Addr,
    /// Its address on box-network.
    pub box_network: Ipv4Addr,
}

/// A running daemon; killed without ceremony on drop, which leaves the programs where they are.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    gateway: Gateway,
}

impl Gateway {
    /// gateway-NUMBER of a run.
    pub fn of(id: &str, number: u8) -> Gateway {
        let (name, directory) = (format!("gateway-{number}"), run::directory(id));
        Gateway {
            namespace: run::namespace(id, &name),
            directory: directory.join(&name),
            addresses_file: directory.join("addresses.yml"),
            gateway_network: Ipv4Addr::new(10, 9, 0, number),
            box_network: Ipv4Addr::new(192, 168, 1, number),
            name,
        }
    }

    /// Where clients reach it.
    pub fn front(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.gateway_network, port)
    }

    /// For the socket.
    pub fn runtime_dir(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// A bpffs of its own.
    pub fn pin_dir(&self) -> PathBuf {
        self.directory.join("bpf")
    }

    /// For what survives a reboot.
    pub fn state_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// What its daemons have said, one after the other.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The inventory of a daemon that does not read the seed's.
    pub fn inventory_file(&self) -> PathBuf {
        self.directory.join("inventory.yml")
    }

    /// A `gwpool-user` command to this gateway's daemon, inside its namespace; not started.
    pub fn user(&self, verb: &str) -> Result<Command> {
        let mut command = self.namespace.command(user_binary()?);
        command
            .arg(verb)
            .arg("--runtime-dir")
            .arg(self.runtime_dir());
        command.arg("--pin-dir").arg(self.pin_dir());
        Ok(command)
    }

    /// What its daemon reports.
    pub fn stats(&self) -> Result<Stats> {
        let text = output(self.user("stats")?.arg("--json"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("reading stats --json of {}: {text}", self.name))
    }

    /// Starts a daemon on the seed's files; it is not ready before [`Daemon::ready`] says so.
    pub fn start(&self, datapath: Datapath) -> Result<Daemon> {
        let seed = project().join("examples/seed");
        let mut command = self.user("run")?;
        command.arg("-i").arg(seed.join("inventory.yml"));
        command.arg("-i").arg(&self.addresses_file);
        let group_vars = seed.join("group_vars.yml");
        command.args(["-e", &format!("@{}", group_vars.display())]);
        self.launch(command, datapath)
    }

    /// The same on an inventory of the test's own, which is written to [`Gateway::inventory_file`].
    pub fn start_on(&self, datapath: Datapath, inventory: &str) -> Result<Daemon> {
        std::fs::write(self.inventory_file(), inventory)?;
        let mut command = self.user("run")?;
        command.arg("-i").arg(self.inventory_file());
        self.launch(command, datapath)
    }

    fn launch(&self, mut command: Command, datapath: Datapath) -> Result<Daemon> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())?;
        // A `gwpool` that is given twice is refused where it loses keys: such an inventory says its datapath itself.
        let says_itself = std::fs::read_to_string(self.inventory_file())
            .is_ok_and(|inventory| inventory.contains("\ngwpool:"));
        if datapath != Datapath::Auto && !says_itself {
            let vars = format!(r#"{{"gwpool":{{"datapath":"{}"}}}}"#, datapath.name());
            command.args(["-e", &vars]);
        }
        command.args(["--node", &self.name]);
        command.arg("--state-dir").arg(self.state_dir());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A group of its own: Ctrl-C at the terminal is the lab's to handle.
        command.process_group(0);
        let _gate = gate();
        let child = command.spawn().context("starting the daemon")?;
        Ok(Daemon {
            child,
            gateway: self.clone(),
        })
    }

    /// The last lines of its log, indented.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        tail.iter().map(|line| format!("\n    {line}")).collect()
    }

    /// Lines of its log that tell of an error.
    pub fn log_errors(&self) -> Result<Vec<String>> {
        let text = std::io::read_to_string(File::open(self.log())?)?;
        let error = |line: &&str| line.contains("ERROR") || line.contains("panicked");
        Ok(text.lines().filter(error).map(str::to_owned).collect())
    }
}

impl Daemon {
    /// Waits until it answers `stats`; an error shows the end of its log.
    pub fn ready(&mut self) -> Result<Stats> {
        let gateway = self.gateway.clone();
        let mut ended = None;
        let answer = wait_for("stats to answer", START_LIMIT, || {
            match self.child.try_wait()? {
                Some(status) => {
                    ended = Some(status);
                    Ok(None)
                }
                None => gateway.stats().map(Some),
            }
        });
        match (answer, ended) {
            (Ok(Some(stats)), _) => Ok(stats),
            (_, Some(status)) => {
                bail!(
                    "the daemon on {} ended: {status}; its log ends:{}",
                    gateway.name,
                    gateway.log_tail()
                )
            }
            (answer, None) => {
                let error = answer
                    .err()
                    .map(|error| format!("{error:#}"))
                    .unwrap_or_default();
                bail!(
                    "the daemon on {}: {error}; its log ends:{}",
                    gateway.name,
                    gateway.log_tail()
                )
            }
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // `ip netns exec` becomes the daemon: the process is the same.
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, signal).context("signalling the daemon")
    }

    /// Kills it on the spot (SIGKILL): nothing it could do about it.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `GWPOOL_USER_BIN`, else what `cargo xtask build` leaves.
pub fn user_binary() -> Result<PathBuf> {
    binary("GWPOOL_USER_BIN", "gwpool-user")
}

/// `GWPOOL_LAB_BIN`, else what a release build of this package leaves.
pub fn lab_binary() -> Result<PathBuf> {
    binary("GWPOOL_LAB_BIN", "lab")
}

fn binary(variable: &str, name: &str) -> Result<PathBuf> {
    let path = match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => project().join("target/release").join(name),
    };
    if !path.is_file() {
        bail!(
            "{} is not there: `cargo xtask build` makes it, or {variable} names another",
            path.display()
        );
    }
    // The namespace's programs are started from elsewhere.
    path.canonicalize()
        .with_context(|| format!("resolving {}", path.display()))
}
