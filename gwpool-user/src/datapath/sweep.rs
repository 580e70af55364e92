//! Removes what is over: expired flows, mappings, next hops and retired backends that no flow names. Counts what is there.
//!
//! Everything goes by two passes: the first marks what looks over, the second removes it if nothing has moved since.
//! A pass walks the established tier once; only halves that are idle or ending are joined. Embryonic flows are left
//! to their table's eviction and to the programs, which take an expired one for free.

use super::census::Census;
use super::error::Error;
use super::expiry::{Timers, closing_s};
use super::flows::is_client_side;
use super::halves::{Halves, Joined, Marks, Name, Part, ends};
use super::loader::Datapath;
use super::release::{Release, Released, Walked};
use crate::plan::{Image, Plan, diff};
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::net::{NextHop, V4};
use gwpool_ebpf::lifetime::age;
use gwpool_ebpf::pair::mate;
use std::collections::BTreeSet;
use std::time::Duration;

/// Time between passes.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Removals between two looks at other work.
const REMOVALS: usize = 1024;
/// Established flows that a question about them may count each time.
const FEW: u64 = 50_000;
/// A client that holds this part of what it may is entered in `SOURCES`, if the programs have lost its count.
const HEAVY: u32 = 16;

/// What the last pass marked and counted.
#[derive(Debug, Default)]
pub struct Sweep {
    /// By part: flows that were over, in the order of their names.
    marked: Vec<Vec<(Name, Marks)>>,
    next_hops: BTreeSet<u32>,
    backends: BTreeSet<u32>,
    census: Census,
    release: Release,
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
    /// Counts set right.
    pub counts: u64,
    /// What became of the mappings.
    pub mappings: Released,
}

/// What a walk through the tables found.
struct Found {
    census: Census,
    halves: Halves,
    entries: u64,
    /// By index.
    next_hops: Vec<bool>,
}

impl Sweep {
    /// One pass. `image`, `plan`: as they run.
    pub async fn pass(
        &mut self,
        datapath: &mut Datapath,
        image: &Image,
        plan: &Plan,
    ) -> Result<Swept, Error> {
        let limits = &plan.limits;
        let idle_s = image.backends.iter().map(|(id, own)| (*id, own.idle_s));
        let timers = Timers::of(&image.settings, &image.nat, idle_s);
        let now = datapath.tick()?;
        let mut walked = self
            .release
            .walk(datapath, &image.nat, &timers, now)
            .await?;
        let mut found = self.walk(datapath, &timers, now, &mut walked).await?;
        let stale = stale_next_hops(datapath, image.settings.epoch).await?;
        let mut retired = diff::retired(image);
        retired.retain(|id| !found.census.names(*id));
        if !stale.is_empty() || !retired.is_empty() {
            let names = |_: &FlowKey<V4>, flow: &Flow<V4>| {
                found.next_hops[usize::from(flow.next_hop)] = true;
                retired.remove(&flow.backend_id());
            };
            datapath.flows.embryonic.each(names).await;
        }
        let next_hops = self.next_hops(datapath, &stale, &found)?;
        let idle = retired.intersection(&self.backends).copied().collect();
        self.backends = retired;
        let halves = std::mem::take(&mut found.halves);
        let flows = self
            .flows(datapath, halves, &timers, now, &mut found.census)
            .await?;
        let heavy = limits.flows_per_source / HEAVY;
        let counts = datapath.set_loads(&found.census, heavy).await?;
        self.census = found.census;
        let mappings = self.release.finish(datapath, walked, plan).await?;
        let entries = found.entries.saturating_sub(2 * flows);
        let present = image.settings.closing_s;
        Ok(Swept {
            flows,
            next_hops,
            idle,
            closing_s: closing_s(present, entries, 2 * u64::from(limits.flows)),
            counts,
            mappings,
        })
    }

    /// How many flows there are: counted anew while they are few, else as the last pass has counted them.
    pub async fn count(&self, datapath: &Datapath) -> Result<Census, Error> {
        if self.census.established() < FEW {
            return datapath.flows.census().await;
        }
        let embryonic = datapath.flows.embryonic().await;
        Ok(self.census.without_clients(embryonic))
    }

    async fn walk(
        &self,
        datapath: &Datapath,
        timers: &Timers,
        now: u16,
        mappings: &mut Walked,
    ) -> Result<Found, Error> {
        let mut found = Found {
            census: Census::after(&self.census),
            halves: Halves::default(),
            entries: 0,
            next_hops: vec![false; 1 + usize::from(u16::MAX)],
        };
        let see = |key: &FlowKey<V4>, flow: &Flow<V4>| {
            found.entries += 1;
            found.next_hops[usize::from(flow.next_hop)] = true;
            found.census.see(key, flow);
            mappings.see(key, flow);
            if ends(flow) || timers.suspects(key.protocol, flow, now) {
                found.halves.add(key, flow);
            }
        };
        datapath.flows.established.each(see).await;
        Ok(found)
    }

    /// Marks the flows that are over, and removes those that were marked before and have not moved.
    async fn flows(
        &mut self,
        datapath: &mut Datapath,
        halves: Halves,
        timers: &Timers,
        now: u16,
        census: &mut Census,
    ) -> Result<u64, Error> {
        let mut removed = 0;
        let mut strays = BTreeSet::new();
        let before = std::mem::take(&mut self.marked);
        for (number, part) in halves.parts().enumerate() {
            let before = before.get(number).map_or(&[][..], Vec::as_slice);
            let (marked, over) = judge(datapath, part, before, timers, now, census)?;
            self.marked.push(marked);
            for (number, (flow, marks)) in over.iter().enumerate() {
                if number % REMOVALS == REMOVALS - 1 {
                    tokio::task::yield_now().await;
                }
                if marks.0.is_none() {
                    strays.insert(flow.name());
                } else if remove(datapath, &flow.name().key(), *marks)? {
                    census.removed(&flow.name().key(), flow.backend(), flow.closed());
                    removed += 1;
                }
            }
            tokio::task::yield_now().await;
        }
        remove_strays(datapath, &strays, timers, now).await?;
        Ok(removed)
    }

    /// Frees the stale next hops that neither this pass nor the one before saw named.
    fn next_hops(
        &mut self,
        datapath: &mut Datapath,
        stale: &BTreeSet<u32>,
        found: &Found,
    ) -> Result<u64, Error> {
        let mut unnamed = stale.clone();
        unnamed.retain(|index| !found.next_hops[*index as usize]);
        let over: BTreeSet<u32> = unnamed.intersection(&self.next_hops).copied().collect();
        for index in &over {
            let freed = datapath.maps.next_hops.set(*index, NextHop::default(), 0);
            freed.map_err(|source| Error::Map {
                map: "NEXT_HOPS",
                what: "the sweep cannot use it".to_owned(),
                source,
            })?;
        }
        self.next_hops = &unnamed - &over;
        Ok(over.len() as u64)
    }
}

/// Flows that are over, with their marks.
type Over = Vec<(Joined, Marks)>;

/// Joins a part's halves: the closed flows are counted, those that are over for the first time are marked, in order,
/// those that already were and have not moved are to be removed.
fn judge(
    datapath: &Datapath,
    part: Part,
    before: &[(Name, Marks)],
    timers: &Timers,
    now: u16,
    census: &mut Census,
) -> Result<(Vec<(Name, Marks)>, Over), Error> {
    let (mut marked, mut over) = (Vec::new(), Vec::new());
    for flow in part.flows() {
        if flow.closed() {
            census.closed(flow.backend());
        }
        let limit = timers.limit(flow.name().protocol(), flow.closed(), flow.backend());
        if flow.idle(now) < limit {
            continue;
        }
        let Some(marks) = both_idle(datapath, &flow, limit, now)? else {
            continue;
        };
        let known = before.binary_search_by_key(&flow.name(), |(name, _)| *name);
        if known.is_ok_and(|place| before[place].1 == marks) {
            over.push((flow, marks));
        } else {
            marked.push((flow.name(), marks));
        }
    }
    Ok((marked, over))
}

/// The marks of the flow's two halves, if the one that is not among the suspects is idle too, or not there at all. A
/// half without its other half carries nothing any more.
fn both_idle(
    datapath: &Datapath,
    flow: &Joined,
    limit: u16,
    now: u16,
) -> Result<Option<Marks>, Error> {
    let marks = flow.marks();
    let key = flow.name().key();
    let idle = |half: &Flow<V4>| age(half.seen, now) >= limit;
    Ok(match marks {
        (Some(_), Some(_)) => Some(marks),
        (Some(seen), None) => {
            let Some(half) = established(datapath, &key)? else {
                return Ok(None);
            };
            let other = established(datapath, &mate(key.protocol, &half.rewrite))?
                .filter(|other| mate(key.protocol, &other.rewrite) == key);
            match other {
                Some(other) => idle(&other).then_some((Some(seen), Some(other.seen))),
                None => Some(marks),
            }
        }
        (None, seen) => match established(datapath, &key)? {
            Some(client) => idle(&client).then_some((Some(client.seen), seen)),
            None => Some(marks),
        },
    })
}

/// Next hops in use that routing has not confirmed since the epoch moved. Index 0 is never used.
async fn stale_next_hops(datapath: &Datapath, epoch: u32) -> Result<BTreeSet<u32>, Error> {
    let mut stale = BTreeSet::new();
    let see = |index: &u32, hop: &NextHop| {
        if *index != 0 && hop.state == NextHop::VALID && hop.epoch != epoch {
            stale.insert(*index);
        }
    };
    datapath.flows.next_hops.each(see).await?;
    Ok(stale)
}

fn established(datapath: &Datapath, key: &FlowKey<V4>) -> Result<Option<Flow<V4>>, Error> {
    let found = datapath.flows.established.get(key)?;
    Ok(found.map(|embryo| embryo.flow))
}

/// Removes a flow that has not moved; false if it has, or a new one has its key. Backend side first: without it
/// nothing comes back, while a client's packet still finds its way to the end.
fn remove(datapath: &Datapath, key: &FlowKey<V4>, marks: Marks) -> Result<bool, Error> {
    let Some(client) = established(datapath, key)?.filter(|half| Some(half.seen) == marks.0) else {
        return Ok(false);
    };
    let tier = &datapath.flows.established;
    if marks.1.is_some() {
        tier.remove(&mate(key.protocol, &client.rewrite))?;
    }
    tier.remove(key)?;
    Ok(true)
}

/// Backend side halves whose client side is gone: their own keys only another walk tells.
async fn remove_strays(
    datapath: &Datapath,
    strays: &BTreeSet<Name>,
    timers: &Timers,
    now: u16,
) -> Result<(), Error> {
    if strays.is_empty() {
        return Ok(());
    }
    let mut keys = Vec::new();
    let see = |key: &FlowKey<V4>, half: &Flow<V4>| {
        let stray = !is_client_side(half)
            && timers.suspects(key.protocol, half, now)
            && strays.contains(&Name::of(&mate(key.protocol, &half.rewrite)));
        if stray {
            keys.push(*key);
        }
    };
    let tier = &datapath.flows.established;
    tier.each(see).await;
    keys.iter().try_for_each(|key| tier.remove(key))
}
