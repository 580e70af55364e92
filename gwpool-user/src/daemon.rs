//! The daemon: plan and host to maps and links, then one loop that follows the host, sweeps, and answers.
//!
//! Order at the start: maps are filled before a program is attached, so that no packet meets an empty table. What
//! already runs is taken over as it is, and only differences are written. Leaving takes nothing off.

use crate::config::Loaded;
use crate::datapath::flows::Census;
use crate::datapath::mode::{self, Choice, Mode};
use crate::datapath::pins::{Pins, Place};
use crate::datapath::sweep::{self, Sweep};
use crate::datapath::{Datapath, OBJECT, attach};
use crate::host::driver::Driver;
use crate::host::{Host, privilege};
use crate::plan::{Difference, Image, Plan, diff, neighbours, warnings};
use crate::stats::driver::{self, Request};
use crate::stats::snapshot::{self, Snapshot};
use anyhow::{Context as _, Result, bail};
use gwpool_common::route::Route;
use sd_notify::NotifyState;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

/// Where an instance keeps its things.
#[derive(Clone, Debug)]
pub struct Places {
    /// The socket's directory.
    pub runtime_dir: PathBuf,
    /// On a bpffs.
    pub pin_dir: PathBuf,
    /// What outlives a reboot.
    pub state_dir: PathBuf,
}

/// Runs until told to stop.
pub async fn run(loaded: Loaded, places: &Places) -> Result<()> {
    for note in &loaded.notes {
        info!("{note}");
    }
    let missing = privilege::missing();
    if !missing.is_empty() {
        bail!(
            "the daemon runs as root, or with the capabilities it lacks now: {}",
            missing.join(", ")
        );
    }
    if OBJECT.is_empty() {
        return Err(crate::datapath::Error::NoPrograms.into());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&places.state_dir)
        .with_context(|| {
            format!(
                "cannot create the state directory {}",
                places.state_dir.display()
            )
        })?;
    let listener = driver::listen(&places.runtime_dir)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut daemon = Daemon::start(loaded.plan, Pins::new(&places.pin_dir)).await?;
    let (sender, mut requests) = mpsc::channel(1);
    tokio::spawn(driver::serve(listener, sender));
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    info!(
        "ready: {} route(s) on {} interface(s)",
        daemon.plan.routes.len(),
        daemon.attached.len()
    );

    let mut sweeps = interval(sweep::INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = daemon.driver.changed() => {
                changed?;
                daemon.follow().await;
            }
            _ = sweeps.tick() => daemon.sweep().await,
            Some(request) = requests.recv() => {
                let stops = request.body["verb"] == "stop";
                daemon.answer(request).await;
                if stops {
                    break;
                }
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    info!(
        "stopping; the programs stay attached and live flows go on (gwpool-user stop --detach takes them off)"
    );
    Ok(())
}

struct Daemon {
    plan: Plan,
    pins: Pins,
    datapath: Datapath,
    driver: Driver,
    host: Host,
    image: Image,
    /// By interface index.
    attached: BTreeMap<u32, Choice>,
    sweep: Sweep,
    started: Instant,
}

impl Daemon {
    async fn start(plan: Plan, pins: Pins) -> Result<Self> {
        let mut driver = Driver::connect()?;
        let mut host = driver.picture().await?;
        pins.create()?;
        let datapath = Datapath::adopt(OBJECT, &plan.limits, &pins)?;
        let image = datapath.installed()?;
        if image.names.is_empty() {
            info!("nothing runs yet: starting afresh");
        } else {
            info!(
                "taking over what runs: {} route(s), {} backend(s)",
                image.routes.len(),
                image.backends.len()
            );
        }
        // Nobody knows what has happened since the last daemon looked.
        host.epoch = image.settings.epoch + 1;
        let mut daemon = Daemon {
            plan,
            pins,
            datapath,
            driver,
            host,
            image,
            attached: BTreeMap::new(),
            sweep: Sweep::default(),
            started: Instant::now(),
        };
        for warning in warnings::warnings(&daemon.plan, &daemon.host) {
            warn!("{warning}");
        }
        daemon.mark_xdp()?;
        daemon.lay()?;
        let choices = daemon.choose()?;
        for choice in &choices {
            report(choice);
        }
        daemon.attach(choices)?;
        daemon.tend().await;
        Ok(daemon)
    }

    /// The interfaces of the plan that have no programs yet, and how they get them.
    fn choose(&self) -> Result<Vec<Choice>> {
        let links = self.pins.links()?;
        let ours = |index| {
            links
                .iter()
                .any(|(pinned, place)| *pinned == index && is_xdp(*place))
        };
        let mut choices = Vec::new();
        let mut seen = BTreeSet::new();
        for network in &self.plan.networks {
            let Some(link) = self.host.links.get(&network.interface) else {
                continue;
            };
            if self.attached.contains_key(&link.index) || !seen.insert(link.index) {
                continue;
            }
            let foreign = link.program.is_some() && !ours(link.index);
            choices.push(mode::choose(
                self.plan.datapath,
                &network.interface,
                link,
                foreign,
            )?);
        }
        Ok(choices)
    }

    /// Attaches, forgets interfaces that are gone, and tells the programs where XDP now is.
    fn attach(&mut self, choices: Vec<Choice>) -> Result<()> {
        for choice in choices {
            let (index, mode) = (choice.index, choice.mode);
            let attached = self.datapath.attach(&self.pins, choice)?;
            if attached.mode != mode {
                report(&attached);
            }
            self.attached.insert(index, attached);
        }
        let managed: BTreeSet<u32> = self.image.interfaces.keys().copied().collect();
        self.attached.retain(|index, _| managed.contains(index));
        let gone = attach::detach_others(&self.pins, &managed)?;
        if gone != 0 {
            info!("took {gone} link(s) off interfaces that are gone or no longer managed");
        }
        if self.mark_xdp()? {
            // Next hops remember how their interface takes frames.
            self.host.epoch += 1;
            self.lay()?;
        }
        Ok(())
    }

    /// Notes in the picture which interfaces carry our XDP program; true if the maps say otherwise.
    fn mark_xdp(&mut self) -> Result<bool> {
        let links = self.pins.links()?;
        let mut moved = false;
        for link in self.host.links.values_mut() {
            link.carries_xdp = links
                .iter()
                .any(|(index, place)| *index == link.index && is_xdp(*place));
            let installed = self.image.interfaces.get(&link.index);
            moved |= installed.is_some_and(|installed| (installed.flags != 0) != link.carries_xdp);
        }
        Ok(moved)
    }

    /// Lays the plan on the host: writes what differs.
    fn lay(&mut self) -> Result<()> {
        let difference = diff(&self.image, &self.plan, &self.host)?;
        self.write(difference)
    }

    fn write(&mut self, difference: Difference) -> Result<()> {
        for write in &difference.writes {
            debug!("{write:?}");
        }
        if let Err(error) = self.datapath.apply(&difference.writes) {
            // Some of it is written: what there is now is in the maps alone.
            self.image = self.datapath.installed()?;
            return Err(error.into());
        }
        if !difference.writes.is_empty() {
            info!("wrote {} map entries", difference.writes.len());
        }
        self.image = difference.wanted;
        Ok(())
    }

    /// The host has changed. What fails here is said, and what ran goes on.
    async fn follow(&mut self) {
        let mut host = match self.driver.picture().await {
            Ok(host) => host,
            Err(error) => {
                return error!(
                    "cannot look at the host, going on with what was: {}",
                    chain(&error.into())
                );
            }
        };
        host.epoch = self.host.epoch + u32::from(self.host.epoch_moved(&host));
        let before = warnings::warnings(&self.plan, &self.host);
        self.host = host;
        for warning in warnings::warnings(&self.plan, &self.host) {
            if !before.contains(&warning) {
                warn!("{warning}");
            }
        }
        if let Err(error) = self.lay_and_attach() {
            error!(
                "the host has changed and the plan no longer fits it, going on with what was: {}",
                chain(&error)
            );
        }
        self.tend().await;
    }

    fn lay_and_attach(&mut self) -> Result<()> {
        self.mark_xdp()?;
        self.lay()?;
        let choices = self.choose()?;
        for choice in &choices {
            report(choice);
        }
        self.attach(choices)
    }

    async fn tend(&mut self) {
        let wanted = neighbours::managed(&self.plan, &self.host);
        self.driver.manage(&wanted).await;
    }

    async fn sweep(&mut self) {
        if let Err(error) = self.try_sweep().await {
            error!(
                "the sweep failed, the next one is in {} s: {}",
                sweep::INTERVAL.as_secs(),
                chain(&error)
            );
        }
    }

    async fn try_sweep(&mut self) -> Result<()> {
        let retired = diff::retired(&self.image);
        let swept = self
            .sweep
            .pass(&mut self.datapath, &retired, self.plan.limits.flows)
            .await?;
        if swept.flows + swept.next_hops != 0 {
            debug!(
                "swept {} flow(s), {} next hop(s)",
                swept.flows, swept.next_hops
            );
        }
        if !swept.idle.is_empty() {
            self.write(diff::reap(&self.image, &swept.idle))?;
        }
        Ok(())
    }

    async fn answer(&mut self, request: Request) {
        let answer = match request.body["verb"].as_str() {
            Some("stats") => self
                .snapshot()
                .await
                .and_then(|snapshot| Ok(serde_json::to_value(snapshot)?)),
            Some("route") => self.switch(&request.body),
            Some("stop") => Ok(json!({ "stopping": true })),
            Some(verb) => Err(anyhow::anyhow!("this daemon does not know the verb {verb}")),
            None => Err(anyhow::anyhow!("the request names no verb")),
        };
        let answer = answer.unwrap_or_else(|error| driver::refusal(&chain(&error)));
        // A client that has left wants no answer.
        let _ = request.answer.send(answer);
    }

    async fn snapshot(&self) -> Result<Snapshot> {
        let census: Census = self.datapath.flows.census().await?;
        let mut counters = BTreeMap::new();
        for id in self.image.backends.keys() {
            counters.insert(*id, self.datapath.counters(*id)?);
        }
        let modes: BTreeMap<String, Mode> = self
            .attached
            .values()
            .map(|choice| (choice.interface.clone(), choice.mode))
            .collect();
        Ok(Snapshot::of(&snapshot::Sources {
            plan: &self.plan,
            image: &self.image,
            uptime_seconds: self.started.elapsed().as_secs(),
            modes: &modes,
            counters: &counters,
            reasons: &self.datapath.reasons()?,
            census: &census,
        }))
    }

    /// `route on|off`: `*` means all of them.
    fn switch(&mut self, body: &Value) -> Result<Value> {
        let (Some(name), Some(on)) = (body["route"].as_str(), body["on"].as_bool()) else {
            bail!("the request lacks a route, or whether it is to be on");
        };
        let named = |route: &&crate::plan::Route| name == "*" || route.name == name;
        let routes: BTreeSet<u32> = self
            .plan
            .routes
            .iter()
            .filter(named)
            .filter_map(|route| self.image.route_id(&route.name))
            .collect();
        if routes.is_empty() {
            let known: Vec<&str> = self
                .plan
                .routes
                .iter()
                .map(|route| route.name.as_str())
                .collect();
            bail!("no route is called {name}; there are: {}", known.join(", "));
        }
        let difference = diff::switch(&self.image, &self.plan, &self.host, &routes, on)?;
        let changed = !difference.writes.is_empty();
        self.write(difference)?;
        let is_off = |id: &u32| {
            self.image
                .routes
                .get(id)
                .is_some_and(|route| route.flags & Route::ENABLED == 0)
        };
        if on && routes.iter().any(is_off) {
            bail!(
                "the plan says enabled: false, which `route on` does not change: change the inventory"
            );
        }
        info!("route {name} switched {}", if on { "on" } else { "off" });
        Ok(json!({ "changed": changed }))
    }
}

fn is_xdp(place: Place) -> bool {
    matches!(place, Place::Native | Place::Generic)
}

fn report(choice: &Choice) {
    let driver = if choice.driver.is_empty() {
        "none"
    } else {
        &choice.driver
    };
    info!(
        "interface {}: driver {driver}, mode {}: {}",
        choice.interface,
        choice.mode.name(),
        choice.why
    );
    if choice.mode == Mode::Native && choice.driver == "veth" {
        warn!(
            "interface {}: native XDP on veth loses what comes in with a partial checksum: the peer end needs \
             `ethtool -K DEV tx off`, or set gwpool.datapath to tc",
            choice.interface
        );
    }
}

/// An error with its causes, in one line.
fn chain(error: &anyhow::Error) -> String {
    format!("{error:#}")
}
