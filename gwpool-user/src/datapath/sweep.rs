//! Removes what is over: expired flows, next hops and retired backends that no flow names.
//!
//! Everything goes by two passes: the first marks what looks over, the second removes it if nothing has moved since.
//! Embryonic flows are left to their table's eviction and to the programs, which take an expired one for free.

use super::error::Error;
use super::expiry::Timers;
use super::flows::{self, is_client_side};
use super::loader::Datapath;
use aya::maps::MapError;
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::limits;
use gwpool_common::net::{NextHop, V4};
use gwpool_ebpf::pair::mate;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// Time between passes.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Removals between two looks at other work.
const REMOVALS: usize = 1024;

/// What the last pass marked.
#[derive(Debug, Default)]
pub struct Sweep {
    /// By the key of the half that was suspected: the marks of both halves.
    flows: HashMap<FlowKey<V4>, (u16, Option<u16>)>,
    next_hops: BTreeSet<u32>,
    backends: BTreeSet<u32>,
    /// The table was nearly full: closing flows go early.
    crowded: bool,
}

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Flows removed.
    pub flows: u64,
    /// Next hops freed.
    pub next_hops: u64,
    /// Retired backends that no flow has named for a whole pass: the caller frees them.
    pub idle: BTreeSet<u32>,
    /// What `Settings::closing_s` should be now: the caller writes it.
    pub closing_s: u16,
}

/// What a walk through the tables found.
#[derive(Default)]
struct Found {
    suspects: Vec<(FlowKey<V4>, Flow<V4>)>,
    next_hops: HashSet<u16>,
    backends: HashSet<u32>,
    entries: u64,
}

impl Found {
    fn names(&mut self, flow: &Flow<V4>) {
        self.next_hops.insert(flow.next_hop);
        self.backends.insert(flows::backend(flow));
    }
}

impl Sweep {
    /// One pass. `retired`: backends that the plan no longer has; `capacity`: flows the table holds.
    pub async fn pass(
        &mut self,
        datapath: &mut Datapath,
        retired: &BTreeSet<u32>,
        capacity: u32,
    ) -> Result<Swept, Error> {
        let settings = datapath
            .maps
            .settings
            .get(&0, 0)
            .map_err(read("SETTINGS"))?;
        let now = datapath.tick()?;
        let timers = Timers::of(&settings, self.crowded);
        let mut found = Found::default();
        let walk = datapath.flows.each_established(|key, flow| {
            found.entries += 1;
            found.names(flow);
            if timers.suspects(key.protocol, flow, now) {
                found.suspects.push((*key, *flow));
            }
        });
        walk.await?;
        self.crowded = found.entries / 2 > u64::from(capacity) * 9 / 10;
        let stale = stale_next_hops(datapath, settings.epoch)?;
        if !stale.is_empty() || !retired.is_empty() {
            datapath
                .flows
                .each_embryonic(|_, flow| found.names(flow))
                .await?;
        }
        let flows = self.flows(datapath, &found.suspects, &timers, now).await?;
        let next_hops = self.next_hops(datapath, &stale, &found)?;
        let unnamed: BTreeSet<u32> = retired
            .iter()
            .copied()
            .filter(|id| !found.backends.contains(id))
            .collect();
        let idle = unnamed.intersection(&self.backends).copied().collect();
        self.backends = unnamed;
        Ok(Swept {
            flows,
            next_hops,
            idle,
            closing_s: if self.crowded {
                limits::TCP_CLOSING_HURRIED_S
            } else {
                limits::TCP_CLOSING_S
            },
        })
    }

    /// Marks the flows that are over, and removes those that were marked before and have not moved.
    async fn flows(
        &mut self,
        datapath: &mut Datapath,
        suspects: &[(FlowKey<V4>, Flow<V4>)],
        timers: &Timers,
        now: u16,
    ) -> Result<u64, Error> {
        let before = std::mem::take(&mut self.flows);
        let mut removed = 0;
        for (number, (key, half)) in suspects.iter().enumerate() {
            if number % REMOVALS == REMOVALS - 1 {
                tokio::task::yield_now().await;
            }
            let mate_key = mate(key.protocol, &half.rewrite);
            // An entry that is no longer what the walk saw, or that went with its other half, is not looked at.
            if established(datapath, key)?.as_ref() != Some(half) {
                continue;
            }
            let mate = established(datapath, &mate_key)?
                .filter(|other| mate(mate_key.protocol, &other.rewrite) == *key);
            if !timers.over(key.protocol, half, mate.as_ref(), now) {
                continue;
            }
            let marks = (half.seen, mate.as_ref().map(|mate| mate.seen));
            if before.get(key) != Some(&marks) {
                self.flows.insert(*key, marks);
                continue;
            }
            remove(datapath, key, half, mate.is_some().then_some(mate_key))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Frees the stale next hops that neither this pass nor the one before saw named.
    fn next_hops(
        &mut self,
        datapath: &mut Datapath,
        stale: &BTreeSet<u32>,
        found: &Found,
    ) -> Result<u64, Error> {
        let unnamed: BTreeSet<u32> = stale
            .iter()
            .copied()
            .filter(|index| !found.next_hops.contains(&(*index as u16)))
            .collect();
        let over: BTreeSet<u32> = unnamed.intersection(&self.next_hops).copied().collect();
        for index in &over {
            let freed = datapath.maps.next_hops.set(*index, NextHop::default(), 0);
            freed.map_err(|source| failed("NEXT_HOPS", source))?;
        }
        self.next_hops = &unnamed - &over;
        Ok(over.len() as u64)
    }
}

/// Valid next hops that routing has not confirmed since the epoch moved. Index 0 is never used.
fn stale_next_hops(datapath: &Datapath, epoch: u32) -> Result<BTreeSet<u32>, Error> {
    let mut stale = BTreeSet::new();
    for index in 1..limits::NEXT_HOPS.min(datapath.maps.next_hops.len()) {
        let hop = datapath
            .maps
            .next_hops
            .get(&index, 0)
            .map_err(read("NEXT_HOPS"))?;
        if hop.state == NextHop::VALID && hop.epoch != epoch {
            stale.insert(index);
        }
    }
    Ok(stale)
}

fn established(datapath: &Datapath, key: &FlowKey<V4>) -> Result<Option<Flow<V4>>, Error> {
    match datapath.maps.established.get(key, 0) {
        Ok(flow) => Ok(Some(flow)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(source) => Err(failed("ESTABLISHED", source)),
    }
}

/// Backend side first: without it nothing comes back, while a client's packet still finds its way to the end.
fn remove(
    datapath: &mut Datapath,
    key: &FlowKey<V4>,
    half: &Flow<V4>,
    mate: Option<FlowKey<V4>>,
) -> Result<(), Error> {
    let (first, second) = if is_client_side(half) {
        (mate, Some(*key))
    } else {
        (Some(*key), mate)
    };
    for key in [first, second].into_iter().flatten() {
        match datapath.maps.established.remove(&key) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(MapError::SyscallError(error))
                if error.io_error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("ESTABLISHED", source)),
        }
    }
    Ok(())
}

fn read(map: &'static str) -> impl Fn(MapError) -> Error {
    move |source| Error::Map {
        map,
        what: "cannot read it".to_owned(),
        source,
    }
}

fn failed(map: &'static str, source: MapError) -> Error {
    Error::Map {
        map,
        what: "the sweep cannot use it".to_owned(),
        source,
    }
}
