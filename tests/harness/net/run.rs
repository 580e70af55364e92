//! A run: one owner process, one directory under `/run/gwpool-lab`, and namespaces `gwpool-RUN-HOST`.
//!
//! The owner is recorded before anything is made, so whatever exists can be found and removed: by drop, by the
//! signal thread, after a panic that aborts, by `lab down`, or by the next run when the owner is dead.

use super::namespace::{self, Namespace};
use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, umount2};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Where runs are recorded.
const ROOT: &str = "/run/gwpool-lab";

/// The runs this process owns. Held while something is being made, so that removal never races with making.
static LIVE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Owned by this process; removed on drop.
#[derive(Debug)]
pub struct Run {
    id: String,
}

/// The process that owns a run. The start time tells it from a later process with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its pid.
    pub pid: i32,
    started_ticks: u64,
}

impl Run {
    /// Takes the name `id`, after sweeping what dead runs left behind.
    pub fn claim(id: &str) -> Result<Run> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "network namespaces need root: run this as root (sudo keeps the build: `sudo -E`)"
        );
        watch_signals();
        let _gate = gate();
        sweep()?;
        let owner = Owner::of(std::process::id() as i32).context("reading our own start time")?;
        let fresh = Path::new(ROOT).join(format!(".{id}.{}", owner.pid));
        fs::create_dir_all(&fresh).with_context(|| format!("creating {}", fresh.display()))?;
        fs::write(
            fresh.join("owner"),
            format!("{} {}\n", owner.pid, owner.started_ticks),
        )?;
        if fs::rename(&fresh, directory(id)).is_err() {
            let _ = fs::remove_dir_all(&fresh);
            let pid = Owner::read(id).map_or("unknown".into(), |owner| owner.pid.to_string());
            bail!("the lab {id:?} is up already (pid {pid}): `cargo xtask lab down` takes it down");
        }
        let mut live = _gate;
        live.push(id.to_owned());
        Ok(Run { id: id.to_owned() })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut live = gate();
        live.retain(|id| *id != self.id);
        if let Err(error) = remove(&self.id) {
            eprintln!("lab: taking {} down: {error:#}", self.id);
        }
    }
}

impl Owner {
    /// The process with that pid, if there is one.
    fn of(pid: i32) -> Option<Owner> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold blanks; the state follows it, the start time is the 19th after that.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        if matches!(fields.next()?, "Z" | "X") {
            // Dead, and nobody has asked how it ended.
            return None;
        }
        let started_ticks = fields.nth(18)?.parse().ok()?;
        Some(Owner { pid, started_ticks })
    }

    /// Who is recorded as owner of `id`.
    pub fn read(id: &str) -> Option<Owner> {
        let text = fs::read_to_string(directory(id).join("owner")).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        Some(Owner {
            pid: pid.parse().ok()?,
            started_ticks: started.parse().ok()?,
        })
    }

    /// Whether it still runs.
    pub fn alive(self) -> bool {
        Owner::of(self.pid) == Some(self)
    }
}

/// Held by whoever makes a namespace, a mount or a process: nothing is removed meanwhile.
pub fn gate() -> MutexGuard<'static, Vec<String>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The directory of a run.
pub fn directory(id: &str) -> PathBuf {
    Path::new(ROOT).join(id)
}

/// The namespace of a host.
pub fn namespace(id: &str, host: &str) -> Namespace {
    Namespace::named(format!("{}{host}", prefix(id)))
}

fn prefix(id: &str) -> String {
    format!("gwpool-{id}-")
}

/// Removes everything a run made: processes, namespaces with their links, mounts with their pins, files.
/// Goes on after a failure and reports the first.
pub fn remove(id: &str) -> Result<()> {
    let mut first = Ok(());
    let mut keep = |result: Result<()>| {
        if first.is_ok() {
            first = result;
        }
    };
    for namespace in namespace::list(&prefix(id))? {
        keep(namespace.remove());
    }
    let directory = directory(id);
    for mount in mounts_under(&directory)? {
        let result = umount2(&mount, MntFlags::MNT_DETACH);
        keep(result.with_context(|| format!("unmounting {}", mount.display())));
    }
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            keep(Err(error).with_context(|| format!("removing {}", directory.display())))
        }
        _ => {}
    }
    first
}

/// Removes what dead owners left behind; a living owner's run is not touched.
fn sweep() -> Result<()> {
    fs::create_dir_all(ROOT).with_context(|| format!("creating {ROOT}"))?;
    // Two runs that begin together must not sweep the same one.
    let file = fs::File::create(Path::new(ROOT).join(".lock"))?;
    let _alone = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("locking {ROOT}"))?;
    for entry in fs::read_dir(ROOT)? {
        let id = entry?.file_name().to_string_lossy().into_owned();
        if Owner::read(&id).is_some_and(|owner| !owner.alive()) {
            eprintln!("lab: sweeping what the dead run {id} left behind");
            remove(&id)?;
        }
    }
    Ok(())
}

fn mounts_under(directory: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mounts")?;
    let places = text
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(PathBuf::from);
    Ok(places
        .filter(|place| place.starts_with(directory))
        .collect())
}

/// From now on SIGINT, SIGTERM, SIGHUP and (where panics abort) a panic take this process's runs down before it ends.
fn watch_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if cfg!(panic = "abort") {
            let shown = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                shown(panic);
                remove_all(&LIVE.try_lock().map(|live| live.clone()).unwrap_or_default());
            }));
        }
        let (ready, watching) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let signal = match first_signal(|| drop(ready)) {
                Ok(signal) => signal,
                Err(error) => return eprintln!("lab: signals are not watched: {error}"),
            };
            eprintln!("lab: interrupted, taking everything down");
            // Never released: whoever waits to make something waits until the process has ended.
            let live = gate();
            remove_all(&live);
            std::process::exit(128 + signal);
        });
        // Ends when the sender is dropped: the handlers stand before anything is made.
        let _ = watching.recv() as Result<(), _>;
    });
}

fn remove_all(live: &[String]) {
    for id in live {
        if let Err(error) = remove(id) {
            eprintln!("lab: taking {id} down: {error:#}");
        }
    }
}

fn first_signal(watching: impl FnOnce()) -> std::io::Result<i32> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        watching();
        Ok(tokio::select! {
            _ = interrupt.recv() => libc::SIGINT,
            _ = terminate.recv() => libc::SIGTERM,
            _ = hangup.recv() => libc::SIGHUP,
        })
    })
}
