//! What is installed and what is wanted, to an ordered list of map writes; pure.
//!
//! Order is what keeps packets right while it is written: what is named goes before what names it (backends, slots,
//! routes, listeners), and away after it. The same plan on the same host writes nothing.
#![forbid(unsafe_code)]

use super::error::Error;
use super::image::{Image, MapWrite};
use super::plan::Plan;
use super::wanted;
use crate::host::Host;
use gwpool_common::net::{Network, V4};
use gwpool_common::route::{Backend, Route};
use std::collections::{BTreeMap, BTreeSet};

/// The way from what is installed to what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The maps as they are once the writes are done.
    pub wanted: Image,
    /// The writes, in order.
    pub writes: Vec<MapWrite>,
}

/// Lays a plan on a host.
pub fn diff(installed: &Image, plan: &Plan, host: &Host) -> Result<Difference, Error> {
    let wanted = wanted::wanted(installed, plan, host)?;
    Ok(Difference {
        writes: writes(installed, &wanted),
        wanted,
    })
}

/// Backends that the plan no longer has. Those that only take no turns are not among them.
pub fn retired(installed: &Image) -> BTreeSet<u32> {
    let live: BTreeSet<u32> = installed
        .routes
        .values()
        .flat_map(|route| installed.run(route))
        .chain(installed.pools.values().flatten())
        .copied()
        .collect();
    installed
        .backends
        .keys()
        .copied()
        .filter(|id| !live.contains(id))
        .collect()
}

/// Frees these backends' ids, and the names that only they kept. The caller has seen that no flow names them.
pub fn reap(installed: &Image, idle: &BTreeSet<u32>) -> Difference {
    let retired = retired(installed);
    let mut wanted = installed.clone();
    wanted
        .backends
        .retain(|id, _| !(retired.contains(id) && idle.contains(id)));
    wanted::forget_names(&mut wanted);
    Difference {
        writes: writes(installed, &wanted),
        wanted,
    }
}

/// The same plan with these routes switched off by hand, or on again; new connections of one that is off go to the
/// local stack. What the plan itself disables stays off. A later [`diff`] keeps the switch.
pub fn switch(
    installed: &Image,
    plan: &Plan,
    host: &Host,
    routes: &BTreeSet<u32>,
    on: bool,
) -> Result<Difference, Error> {
    let mut switched = installed.clone();
    for (_, route) in switched
        .routes
        .iter_mut()
        .filter(|(id, _)| routes.contains(id))
    {
        route.flags &= !Route::SWITCHED_OFF;
        route.flags |= if on { 0 } else { Route::SWITCHED_OFF };
    }
    let wanted = wanted::wanted(&switched, plan, host)?;
    Ok(Difference {
        writes: writes(installed, &wanted),
        wanted,
    })
}

/// What `backend` makes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes its turns.
    Ready,
    /// No new connection.
    Drain,
    /// The same, for maintenance.
    Maint,
}

/// Sets states by hand.
pub fn set_states(
    installed: &Image,
    plan: &Plan,
    host: &Host,
    backends: &BTreeSet<u32>,
    state: State,
) -> Result<Difference, Error> {
    let mut set = installed.clone();
    for id in backends {
        let Some(backend) = set.backends.get_mut(id) else {
            continue;
        };
        backend.flags &= !(Backend::<V4>::DRAIN | Backend::<V4>::MAINT);
        backend.flags |= match state {
            State::Ready => 0,
            State::Drain => Backend::<V4>::DRAIN,
            State::Maint => Backend::<V4>::MAINT,
        };
    }
    let wanted = wanted::wanted(&set, plan, host)?;
    Ok(Difference {
        writes: writes(installed, &wanted),
        wanted,
    })
}

/// Sets weights by hand; `None`: the plan's.
pub fn set_weight(
    installed: &Image,
    plan: &Plan,
    host: &Host,
    backends: &BTreeSet<u32>,
    weight: Option<u16>,
) -> Result<Difference, Error> {
    let mut set = installed.clone();
    for id in backends {
        let Some(backend) = set.backends.get_mut(id) else {
            continue;
        };
        backend.flags &= !Backend::<V4>::WEIGHED;
        if let Some(weight) = weight {
            backend.flags |= Backend::<V4>::WEIGHED;
            backend.weight = weight;
        }
    }
    let wanted = wanted::wanted(&set, plan, host)?;
    Ok(Difference {
        writes: writes(installed, &wanted),
        wanted,
    })
}

/// The same with another time for closed TCP flows: the sweep's word on how full the table is. A later [`diff`] keeps it.
pub fn closing(installed: &Image, closing_s: u16) -> Difference {
    let mut wanted = installed.clone();
    wanted.settings.closing_s = closing_s;
    Difference {
        writes: writes(installed, &wanted),
        wanted,
    }
}

fn writes(from: &Image, to: &Image) -> Vec<MapWrite> {
    let mut writes = Vec::new();
    if from.settings != to.settings {
        writes.push(MapWrite::Settings(to.settings));
    }
    writes.extend(changed(
        &from.interfaces,
        &to.interfaces,
        MapWrite::Interface,
    ));
    writes.extend(changed(&from.backends, &to.backends, MapWrite::Backend));
    writes.extend(slots(from, to));
    writes.extend(changed(&from.names, &to.names, MapWrite::Name));
    writes.extend(changed(&from.routes, &to.routes, MapWrite::Route));
    writes.extend(networks(from, to));
    writes.extend(changed(&from.addresses, &to.addresses, MapWrite::Address));
    writes.extend(changed(&from.listeners, &to.listeners, MapWrite::Listener));

    writes.extend(gone(&from.listeners, &to.listeners, MapWrite::Listener));
    writes.extend(gone(&from.addresses, &to.addresses, MapWrite::Address));
    writes.extend(gone(&from.routes, &to.routes, MapWrite::Route));
    writes.extend(gone(&from.backends, &to.backends, MapWrite::Backend));
    writes.extend(gone(&from.names, &to.names, MapWrite::Name));
    writes.extend(gone(&from.interfaces, &to.interfaces, MapWrite::Interface));
    writes
}

/// Entries that are new or different.
fn changed<'a, K: Ord + Clone, V: Clone + PartialEq>(
    from: &'a BTreeMap<K, V>,
    to: &'a BTreeMap<K, V>,
    write: fn(K, Option<V>) -> MapWrite,
) -> impl Iterator<Item = MapWrite> + 'a {
    to.iter()
        .filter(|(key, value)| from.get(key) != Some(value))
        .map(move |(key, value)| write(key.clone(), Some(value.clone())))
}

/// Entries that are there no longer.
fn gone<'a, K: Ord + Clone, V>(
    from: &'a BTreeMap<K, V>,
    to: &'a BTreeMap<K, V>,
    write: fn(K, Option<V>) -> MapWrite,
) -> impl Iterator<Item = MapWrite> + 'a {
    from.keys()
        .filter(|key| !to.contains_key(key))
        .map(move |key| write(key.clone(), None))
}

fn slots<'a>(from: &'a Image, to: &'a Image) -> impl Iterator<Item = MapWrite> + 'a {
    (0..)
        .zip(&to.slots)
        .filter(|(index, backend)| from.slots.get(*index as usize).unwrap_or(&0) != *backend)
        .map(|(index, backend)| MapWrite::Slot(index, *backend))
}

/// From the front; then the entries that are over, from the back, so that the list ends where it should throughout.
fn networks<'a>(from: &'a Image, to: &'a Image) -> impl Iterator<Item = MapWrite> + 'a {
    let written = (0..)
        .zip(&to.networks)
        .filter(|(index, network)| from.networks.get(*index as usize) != Some(network))
        .map(|(index, network)| MapWrite::Network(index, *network));
    let over = (to.networks.len()..from.networks.len()).rev();
    written.chain(over.map(|index| MapWrite::Network(index as u32, Network::default())))
}

#[cfg(test)]
mod tests;
