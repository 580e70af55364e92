//! The mappings' part of a pass: those that are over go, then what the programs are told of the others is set right:
//! how many each inside host has, and which ports are taken.
//!
//! The inside entry goes first: it is what the programs find a mapping by, and whoever finds it asks no further. The
//! outside one, which owns the port, goes when no inside entry points to it any more. A mapping that is used while it
//! goes is made anew by its next packet.

use super::error::Error;
use super::expiry::Timers;
use super::flows::Flows;
use super::loader::Datapath;
use super::mappings::{Entries, Suspects, Tally, corrections, freed, words};
use crate::plan::Plan;
use aya::maps::MapError;
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::nat::{End, Mapping, Nat, Permission};
use gwpool_common::net::V4;
use gwpool_ebpf::mapping::other;
use std::collections::HashSet;

/// Entries between two looks at other work.
const ENTRIES: usize = 1024;
/// An inside host that holds this part of what it may is entered in `SUBSCRIBERS`, if the programs have lost its count.
const HEAVY: u32 = 16;

/// What the last pass has marked.
#[derive(Debug, Default)]
pub struct Release {
    marked: Entries,
    tally: Tally,
}

/// What a pass has found before it walks through the flows.
#[derive(Debug)]
pub struct Walked {
    nat: Nat<V4>,
    entries: Entries,
    suspects: Suspects,
    /// `PORTS` before the walk.
    ports: Vec<u64>,
}

/// A mapping: its inside end and its outside end.
pub type Pair = (End<V4>, End<V4>);

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Mappings that were over.
    pub over: Vec<Pair>,
    /// Those that live; only where they are logged.
    pub live: Vec<Pair>,
    /// Counts and words set right.
    pub corrections: u64,
}

impl Walked {
    /// A live flow.
    pub fn see(&mut self, key: &FlowKey<V4>, flow: &Flow<V4>) {
        if flow.flags & (Flow::<V4>::NAT | Flow::<V4>::BACKEND_SIDE) == Flow::<V4>::NAT {
            self.suspects.clear(key, flow);
        }
    }
}

impl Release {
    /// Looks at all mappings.
    pub async fn walk(
        &self,
        datapath: &Datapath,
        nat: &Nat<V4>,
        timers: &Timers,
        now: u16,
    ) -> Result<Walked, Error> {
        let ports = match nat.address_count {
            0 => Vec::new(),
            _ => datapath.flows.ports().await?,
        };
        let mut entries = Entries::with_capacity(2 * self.tally.mappings as usize);
        let see = |end: &End<V4>, mapping: &Mapping<V4>| {
            entries.insert(*end, *mapping);
        };
        datapath.flows.mappings.each(see).await?;
        let mut suspects = Suspects::default();
        for (number, entry) in entries.iter().enumerate() {
            suspects.see(&entries, entry, timers, now);
            rest(number).await;
        }
        Ok(Walked {
            nat: *nat,
            suspects,
            entries,
            ports,
        })
    }

    /// Releases what is over, of which no flow was seen.
    pub async fn finish(
        &mut self,
        datapath: &mut Datapath,
        walked: Walked,
        plan: &Plan,
    ) -> Result<Released, Error> {
        let Walked {
            nat,
            mut entries,
            suspects,
            ports,
        } = walked;
        let (over, marked) = suspects.over(&entries, &self.marked);
        self.marked = marked;
        let mut released = Released::default();
        let mut alone = HashSet::new();
        for (number, end) in over.iter().enumerate() {
            rest(number).await;
            let found = entries[end];
            if !remove(datapath, end, &found)? {
                continue;
            }
            entries.remove(end);
            if end.side == End::<V4>::INSIDE {
                released.over.push((*end, other(end, &found)));
            } else {
                alone.insert(*end);
            }
        }
        withdraw(&datapath.flows, &alone).await?;
        if nat.flags & Nat::<V4>::LOGS != 0 {
            let inside = entries
                .iter()
                .filter(|(end, _)| end.side == End::<V4>::INSIDE);
            let pair = |(end, mapping): (&End<V4>, &Mapping<V4>)| (*end, other(end, mapping));
            released.live = inside.map(pair).collect();
        }
        self.tally = Tally::default();
        for (number, entry) in entries.iter().enumerate() {
            self.tally.see(entry);
            rest(number).await;
        }
        let heavy = nat.ports_per_host / HEAVY;
        let counts = datapath.set_subscribers(&self.tally.hosts, heavy).await?;
        let words = match nat.address_count {
            0 => 0,
            _ => rewrite(datapath, words(&entries, &nat, plan), &ports).await?,
        };
        released.corrections = (counts + words) as u64;
        Ok(released)
    }
}

async fn rest(number: usize) {
    if number % ENTRIES == ENTRIES - 1 {
        tokio::task::yield_now().await;
    }
}

/// Takes mappings out, whoever uses them, inside ends first, with their permissions: the outside ends that nobody has now.
pub async fn take_out_all(flows: &Flows, pairs: &[Pair]) -> Result<HashSet<End<V4>>, Error> {
    let mut freed = HashSet::new();
    for (inside, outside) in pairs {
        let back = flows.mappings.get(outside)?;
        if back.is_some_and(|back| other(outside, &back) == *inside) {
            freed.insert(*outside);
        }
    }
    let inside: Vec<End<V4>> = pairs.iter().map(|(inside, _)| *inside).collect();
    flows.mappings.write(&inside, |end| Some((*end, None)))?;
    let outside: Vec<End<V4>> = freed.iter().copied().collect();
    flows.mappings.write(&outside, |end| Some((*end, None)))?;
    withdraw(flows, &freed).await?;
    Ok(freed)
}

/// The ports of these ends can be given out again at once: a connection that goes on gets the same. `reserved`: the
/// words of those that never are.
pub async fn free(
    flows: &Flows,
    ends: &HashSet<End<V4>>,
    nat: &Nat<V4>,
    reserved: &[u64],
) -> Result<(), Error> {
    if ends.is_empty() {
        return Ok(());
    }
    let now = flows.ports().await?;
    let writes = freed(ends.iter(), nat, reserved, &now);
    let set = |(index, word): &(u32, u64)| Some((*index, Some(*word)));
    flows.ports.write(&writes, set).map(drop)
}

/// Removes an entry that is as it was found; false if it is not.
fn remove(datapath: &mut Datapath, end: &End<V4>, found: &Mapping<V4>) -> Result<bool, Error> {
    let Some(present) = mapping(datapath, end)? else {
        return Ok(false);
    };
    let far = other(end, &present);
    let beyond = mapping(datapath, &far)?;
    let over = if end.side == End::<V4>::INSIDE {
        present == *found || beyond.is_none()
    } else {
        present == *found && beyond.is_none_or(|beyond| other(&far, &beyond) != *end)
    };
    if over {
        take_out(datapath, end)?;
    }
    Ok(over)
}

/// The permissions of outside ends that are nobody's any more: whoever has the port next has asked nobody yet.
async fn withdraw(flows: &Flows, freed: &HashSet<End<V4>>) -> Result<(), Error> {
    if freed.is_empty() {
        return Ok(());
    }
    let mut over = Vec::new();
    let see = |permission: &Permission<V4>, _: &u32| {
        let end = End {
            address: permission.outside,
            port: permission.port,
            protocol: permission.protocol,
            side: End::<V4>::OUTSIDE,
        };
        if freed.contains(&end) {
            over.push(*permission);
        }
    };
    flows.permissions.each(see).await?;
    let gone = flows.permissions.write(&over, |key| Some((*key, None)));
    gone.map(drop)
}

/// Sets the words of `PORTS` right; how many that were.
async fn rewrite(datapath: &Datapath, words: Vec<u64>, before: &[u64]) -> Result<usize, Error> {
    let now = datapath.flows.ports().await?;
    let corrections = corrections(words, before, &now);
    let set = |(index, word): &(u32, u64)| Some((*index, Some(*word)));
    datapath.flows.ports.write(&corrections, set)?;
    Ok(corrections.len())
}

fn mapping(datapath: &Datapath, end: &End<V4>) -> Result<Option<Mapping<V4>>, Error> {
    match datapath.maps.mappings.get(end, 0) {
        Ok(mapping) => Ok(Some(mapping)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(source) => Err(failed(source)),
    }
}

fn take_out(datapath: &mut Datapath, end: &End<V4>) -> Result<(), Error> {
    match datapath.maps.mappings.remove(end) {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        Err(source) => Err(failed(source)),
    }
}

fn failed(source: MapError) -> Error {
    Error::Map {
        map: "MAPPINGS",
        what: "the sweep cannot use it".to_owned(),
        source,
    }
}
