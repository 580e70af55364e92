//! A running instance: its plan laid on its host, followed and swept.
//!
//! Maps are filled before a program is attached, so that no packet meets an empty table; what already runs is taken
//! over as it is, and only differences are written. What fails later is said, and what ran goes on.

use crate::datapath::mode::{self, Choice, Mode};
use crate::datapath::pins::{Pins, Place};
use crate::datapath::reserve::Reserved;
use crate::datapath::sweep::{self, Sweep};
use crate::datapath::{self, Datapath, OBJECT, attach};
use crate::flows::driver::Desk;
use crate::fragments::driver as fragments;
use crate::host::driver::Driver;
use crate::host::{self, Host};
use crate::journal::driver as journal;
use crate::plan::{Difference, Image, Plan, diff, neighbours, warnings};
use anyhow::Result;
use gwpool_common::nat::Nat;
use gwpool_common::net::V4;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;
use tracing::{debug, error, info, warn};

/// One daemon's plan, host, programs and maps.
pub(super) struct Instance {
    pub(super) plan: Plan,
    pins: Pins,
    pub(super) datapath: Datapath,
    driver: Driver,
    pub(super) host: Host,
    pub(super) image: Image,
    /// By interface index.
    pub(super) attached: BTreeMap<u32, Choice>,
    pub(super) sweep: Sweep,
    pub(super) started: Instant,
    pub(super) fragments: fragments::Handle,
    pub(super) reserved: Reserved,
    pub(super) desk: Desk,
    journal: journal::Handle,
    /// Mappings that the log was not told of, so far.
    unlogged: u64,
}

impl Instance {
    pub(super) async fn start(plan: Plan, pins: Pins) -> Result<Self> {
        let mut driver = Driver::connect()?;
        let mut host = driver.picture().await?;
        pins.create()?;
        let mut datapath = Datapath::adopt(OBJECT, &plan.limits, &pins)?;
        if let Err(error) = datapath.hear_of_ports(&pins, plan.limits.translates()) {
            warn!(
                "{}; a TCP port that this host has bound, but neither listens on nor speaks from yet, may be given out",
                chain(&error.into())
            );
        }
        let fragments = fragments::start(&mut datapath, &pins);
        let journal = journal::start(&mut datapath)?;
        let unlogged = datapath.answers()?.unlogged;
        let image = datapath.installed()?;
        let first = image.names.is_empty() && image.nat == Nat::NONE;
        if first {
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
        let mut instance = Instance {
            plan,
            pins,
            datapath,
            driver,
            host,
            image,
            attached: BTreeMap::new(),
            sweep: Sweep::default(),
            started: Instant::now(),
            fragments,
            reserved: Reserved::default(),
            desk: Desk::default(),
            journal,
            unlogged,
        };
        instance.warn_unless(&[]);
        instance.mark_xdp()?;
        instance.lay()?;
        if first {
            instance.inherit()?;
        }
        let choices = instance.choose(&instance.plan)?;
        instance.attach(choices)?;
        instance.name_leftovers();
        instance.tend().await;
        Ok(instance)
    }

    /// The interfaces of a plan that have no programs yet, or have them in a way that this plan may not want, and how
    /// they get them.
    pub(super) fn choose(&self, plan: &Plan) -> Result<Vec<Choice>, datapath::Error> {
        let links = self.pins.links()?;
        let ours = |index| {
            links
                .iter()
                .any(|(pinned, place)| *pinned == index && is_xdp(*place))
        };
        let mut choices = Vec::new();
        let mut seen = BTreeSet::new();
        let same_way = plan.datapath == self.plan.datapath;
        for network in &plan.networks {
            let Some(link) = self.host.links.get(&network.interface) else {
                continue;
            };
            let attached = same_way && self.attached.contains_key(&link.index);
            if attached || !seen.insert(link.index) {
                continue;
            }
            let foreign = link.program.is_some() && !ours(link.index);
            choices.push(mode::choose(
                plan.datapath,
                &network.interface,
                link,
                foreign,
            )?);
        }
        // Outside first: while only one of them is on, the kernel still sees what the inside sends and translates what it
        // knows; the other way round its conntrack would take answers for strangers' and reset them.
        let outside = plan.nat.as_ref().and_then(|nat| plan.network(&nat.outside));
        let outside = outside.map(|network| network.interface.as_str());
        choices.sort_by_key(|choice| outside != Some(choice.interface.as_str()));
        Ok(choices)
    }

    /// Attaches, forgets interfaces that are gone, and tells the programs where XDP now is.
    pub(super) fn attach(&mut self, choices: Vec<Choice>) -> Result<()> {
        for choice in choices {
            report(&choice);
            let (index, mode) = (choice.index, choice.mode);
            let attached = self.datapath.attach(&self.pins, choice)?;
            if attached.mode != mode {
                report(&attached);
            }
            self.attached.insert(index, attached);
        }
        let managed: BTreeSet<u32> = self.image.interfaces.keys().copied().collect();
        self.attached.retain(|index, _| managed.contains(index));
        let native = |(_, choice): &(&u32, &Choice)| choice.mode == Mode::Native;
        let native = self.attached.iter().filter(native);
        self.fragments
            .native(native.map(|(index, _)| *index).collect());
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
    pub(super) fn mark_xdp(&mut self) -> Result<bool> {
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

    pub(super) fn write(&mut self, difference: Difference) -> Result<()> {
        for write in &difference.writes {
            debug!("{write:?}");
        }
        let before = self.image.nat;
        let done = self.reserve(&difference);
        if let Err(error) = done.and_then(|()| self.datapath.apply(&difference.writes)) {
            // Some of it is written: what there is now is in the maps alone, the pools are the last plan's.
            let installed = self.datapath.installed()?;
            let pools = std::mem::take(&mut self.image.pools);
            self.image = Image { pools, ..installed };
            return Err(error.into());
        }
        if !difference.writes.is_empty() {
            info!("wrote {} map entries", difference.writes.len());
        }
        self.image.follow(difference);
        self.tell_translation(&before);
        Ok(())
    }

    /// Returns when the host has changed.
    pub(super) async fn changed(&mut self) -> Result<()> {
        Ok(self.driver.changed().await?)
    }

    /// The host has changed. What fails here is said, and what ran goes on.
    pub(super) async fn follow(&mut self) {
        let before = self.warnings();
        if let Err(error) = self.look().await {
            return error!(
                "cannot look at the host, going on with what was: {}",
                chain(&error.into())
            );
        }
        self.warn_unless(&before);
        if let Err(error) = self.lay_and_attach() {
            error!(
                "the host has changed and the plan no longer fits it, going on with what was: {}",
                chain(&error)
            );
        }
        self.tend().await;
    }

    /// Takes a new picture of the host: whoever calls lays a plan on it.
    pub(super) async fn look(&mut self) -> Result<(), host::driver::Error> {
        let mut host = self.driver.picture().await?;
        host.epoch = self.host.epoch + u32::from(self.host.epoch_moved(&host));
        self.host = host;
        Ok(())
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        warnings::warnings(&self.plan, &self.host)
    }

    /// Says what was not said before.
    pub(super) fn warn_unless(&self, before: &[String]) {
        for warning in self.warnings() {
            if !before.contains(&warning) {
                warn!("{warning}");
            }
        }
    }

    pub(super) fn lay_and_attach(&mut self) -> Result<()> {
        self.mark_xdp()?;
        self.lay()?;
        let choices = self.choose(&self.plan)?;
        self.attach(choices)
    }

    pub(super) async fn tend(&mut self) {
        let wanted = neighbours::managed(&self.plan, &self.host);
        self.driver.manage(&wanted).await;
    }

    pub(super) async fn sweep(&mut self) {
        if let Err(error) = self.try_sweep().await {
            error!(
                "the sweep failed, the next one is in {} s: {}",
                sweep::INTERVAL.as_secs(),
                chain(&error)
            );
        }
    }

    fn warn_of_unlogged(&mut self) -> Result<()> {
        let unlogged = self.datapath.answers()?.unlogged;
        let more = unlogged.saturating_sub(self.unlogged);
        if more != 0 {
            warn!("the log was not told of {more} mapping(s) in time: it finds them later");
        }
        self.unlogged = unlogged;
        Ok(())
    }

    async fn try_sweep(&mut self) -> Result<()> {
        let swept = self
            .sweep
            .pass(&mut self.datapath, &self.image, &self.plan)
            .await?;
        let mappings = swept.mappings.over.len() as u64;
        if swept.flows + swept.next_hops + mappings != 0 {
            debug!(
                "swept {} flow(s), {} next hop(s), {mappings} mapping(s)",
                swept.flows, swept.next_hops
            );
        }
        let logs = self.image.nat.flags & Nat::<V4>::LOGS != 0;
        self.journal.swept(logs, swept.mappings);
        self.warn_of_unlogged()?;
        if !swept.idle.is_empty() {
            self.write(diff::reap(&self.image, &swept.idle))?;
        }
        if swept.closing_s != self.image.settings.closing_s {
            info!("closed flows are now over after {} s", swept.closing_s);
            self.write(diff::closing(&self.image, swept.closing_s))?;
        }
        Ok(())
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} route(s) on {} interface(s){}",
            self.plan.routes.len(),
            self.attached.len(),
            self.translation()
        )
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
pub(super) fn chain(error: &anyhow::Error) -> String {
    format!("{error:#}")
}
