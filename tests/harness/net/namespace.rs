//! A network namespace: made and removed by iproute2, entered by a thread of ours or by a program.
//!
//! A socket stays in the namespace of the thread that made it; so a thread enters, makes its sockets, and what it
//! made may be used from anywhere. The main thread never enters one.

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Its name is known; whether it exists is the kernel's business.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// The namespace of that name, existing or not.
    pub fn named(name: String) -> Namespace {
        Namespace { name }
    }

    /// Its name, as `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes it.
    pub fn create(&self) -> Result<()> {
        ip(&["netns", "add", &self.name])
    }

    /// Ends every process in it, waits until they are gone, and removes it. Sockets held elsewhere keep the
    /// kernel's object alive without its name.
    pub fn remove(&self) -> Result<()> {
        super::wait::wait_for("the namespace to empty", super::LIMIT, || {
            let pids = self.processes()?;
            for &pid in &pids {
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            anyhow::ensure!(
                pids.is_empty(),
                "{} still has processes {pids:?}",
                self.name
            );
            Ok(())
        })?;
        ip(&["netns", "delete", &self.name])
    }

    fn processes(&self) -> Result<Vec<nix::unistd::Pid>> {
        let output = output(Command::new("ip").args(["netns", "pids", &self.name]))?;
        let pids = output
            .split_whitespace()
            .filter_map(|word| word.parse().ok());
        Ok(pids.map(nix::unistd::Pid::from_raw).collect())
    }

    /// A program to be run inside; not started.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a program inside and gives what it printed; an error holds what it complained.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        output(self.command(program).args(arguments))
    }

    /// Several `ip` commands inside, a line each; the first that fails ends it.
    pub fn ip(&self, lines: &[String]) -> Result<()> {
        ip_batch(&["-n", &self.name], lines)
    }

    /// Writes a sysctl inside, `net/ipv4/ip_forward` for instance.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{key}");
        self.enter(|| {
            std::fs::write(&path, value).with_context(|| format!("writing {value} to {path}"))
        })?
    }

    /// Loads a rule set.
    pub fn nft(&self, rules: &str) -> Result<()> {
        self.feed("nft", &["-f", "-"], rules)
    }

    /// Runs a program inside that reads `input`; what it says goes to our own output.
    pub fn feed(&self, program: &str, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = self.command(program);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        let mut pipe = child.stdin.take().context("it has no input")?;
        // It may end early on a bad line, and says so itself.
        let _ = pipe.write_all(input.as_bytes());
        drop(pipe);
        anyhow::ensure!(
            child.wait()?.success(),
            "{program} refused its input in {}",
            self.name
        );
        Ok(())
    }

    /// Runs `work` in a thread that has entered; a panic inside comes out here.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter_here()?;
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Drives a future in a thread that has entered: every socket it makes is inside.
    pub fn block_on<F: Future>(&self, work: impl FnOnce() -> F + Send) -> Result<F::Output>
    where
        F::Output: Send,
    {
        self.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok(runtime.block_on(work()))
        })?
    }

    /// Moves the calling thread inside, for good.
    pub fn enter_here(&self) -> Result<()> {
        let path = PathBuf::from("/run/netns").join(&self.name);
        let file = File::open(&path)
            .with_context(|| format!("opening the namespace {}", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("entering the namespace {}", self.name))
    }
}

/// Names of all namespaces on this machine that begin so.
pub fn list(prefix: &str) -> Result<Vec<Namespace>> {
    let output = output(Command::new("ip").args(["netns", "list"]))?;
    let names = output
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(names
        .filter(|name| name.starts_with(prefix))
        .map(|name| Namespace::named(name.to_owned()))
        .collect())
}

/// One `ip` command.
fn ip(arguments: &[&str]) -> Result<()> {
    output(Command::new("ip").args(arguments)).map(drop)
}

/// Several `ip` commands in one process.
pub fn ip_batch(options: &[&str], lines: &[String]) -> Result<()> {
    let mut command = Command::new("ip");
    command
        .args(options)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("starting ip (package iproute2)")?;
    let mut input = child
        .stdin
        .take()
        .context("ip was started without an input")?;
    // ip may end early on a bad line; its own words about that are better than a broken pipe.
    let _ = input.write_all(lines.join("\n").as_bytes());
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "ip {options:?} refused: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Runs to the end; standard output, or an error with the program's own words.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = || format!("{command:?}").replace('"', "");
    let shown = shown();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {shown}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{shown}: {}: {}{}",
            output.status,
            text.trim(),
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{shown} printed something that is not UTF-8"))
}
