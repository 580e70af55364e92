//! What the maps of configuration hold, as plain values: read from the maps at adoption, kept beside them afterwards.
//!
//! [`Image::apply`] does to an image what `datapath::apply` does to the maps, so that tests can look at every state
//! a packet could meet between two writes. Flows, turns and counters are not here: only the programs write those.
#![forbid(unsafe_code)]

use super::plan::Limits;
use gwpool_common::limits::{self, Settings};
use gwpool_common::net::{Address, Interface, Network, V4};
use gwpool_common::route::{Backend, Listener, Listening, Route};
use std::collections::BTreeMap;
use std::ops::Range;

/// The configuration maps, as they are or as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `SETTINGS`.
    pub settings: Settings,
    /// `INTERFACES`, by interface index.
    pub interfaces: BTreeMap<u32, Interface>,
    /// `NETWORKS`, up to the first empty entry.
    pub networks: Vec<Network<V4>>,
    /// `ADDRESSES`.
    pub addresses: BTreeMap<V4, Address>,
    /// `LISTENERS`.
    pub listeners: BTreeMap<Listener<V4>, Listening>,
    /// `ROUTES`, by route id.
    pub routes: BTreeMap<u32, Route>,
    /// `ROUTE_NAMES`, by route id.
    pub names: BTreeMap<u32, String>,
    /// `SLOTS`, up to the last one ever written.
    pub slots: Vec<u32>,
    /// `BACKENDS`, by backend id, retired ones included.
    pub backends: BTreeMap<u32, Backend<V4>>,
    /// The plan's backend ids by route id, in the plan's order, those that take no turns included. In no map: known
    /// once a plan is laid.
    pub pools: BTreeMap<u32, Vec<u32>>,
    /// Stretches of `SLOTS` that were running until the last change: a packet may still be reading them.
    pub replaced: Vec<Range<u32>>,
}

/// One write to one map. Order matters: see [`super::diff`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapWrite {
    /// The settings, whole.
    Settings(Settings),
    /// An interface is managed, or no longer.
    Interface(u32, Option<Interface>),
    /// An entry of the array of guarded prefixes; all zeros ends the list.
    Network(u32, Network<V4>),
    /// An address, or its removal.
    Address(V4, Option<Address>),
    /// Who listens there, or its removal.
    Listener(Listener<V4>, Option<Listening>),
    /// A route, or its removal.
    Route(u32, Option<Route>),
    /// A route's name, or its removal.
    Name(u32, Option<String>),
    /// One entry of a run of backend ids.
    Slot(u32, u32),
    /// A backend; `None` frees its id and clears its counters.
    Backend(u32, Option<Backend<V4>>),
}

impl Image {
    /// Does to the image what `datapath::apply` does to the maps.
    pub fn apply(&mut self, write: &MapWrite) {
        match write {
            MapWrite::Settings(settings) => self.settings = *settings,
            MapWrite::Interface(index, value) => set(&mut self.interfaces, index, value),
            MapWrite::Network(index, network) => self.set_network(*index as usize, *network),
            MapWrite::Address(address, value) => set(&mut self.addresses, address, value),
            MapWrite::Listener(listener, value) => set(&mut self.listeners, listener, value),
            MapWrite::Route(id, value) => set(&mut self.routes, id, value),
            MapWrite::Name(id, value) => set(&mut self.names, id, value),
            MapWrite::Slot(index, backend) => self.set_slot(*index as usize, *backend),
            MapWrite::Backend(id, value) => set(&mut self.backends, id, value),
        }
    }

    fn set_network(&mut self, index: usize, network: Network<V4>) {
        if index >= self.networks.len() {
            self.networks.resize(index + 1, Network::default());
        }
        self.networks[index] = network;
        let ends = self
            .networks
            .iter()
            .position(|network| network.interface == 0);
        self.networks.truncate(ends.unwrap_or(self.networks.len()));
    }

    /// Grows as needed: an image has no size of its own.
    pub fn set_slot(&mut self, index: usize, backend: u32) {
        if index >= self.slots.len() {
            self.slots.resize(index + 1, 0);
        }
        self.slots[index] = backend;
    }

    /// The backend ids of a route's run.
    pub fn run(&self, route: &Route) -> &[u32] {
        let first = route.slot_first as usize;
        self.slots
            .get(first..first + route.slot_count as usize)
            .unwrap_or(&[])
    }

    /// The id of the route with this name.
    pub fn route_id(&self, name: &str) -> Option<u32> {
        self.names
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(id, _)| *id)
    }
}

fn set<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, V>, key: &K, value: &Option<V>) {
    match value {
        Some(value) => map.insert(key.clone(), value.clone()),
        None => map.remove(key),
    };
}

impl Limits {
    /// Turns that the cycles of all routes may have together: a quarter of `SLOTS`. What replaces them is written
    /// beside them and beside what they have replaced; the last quarter is for the gaps between runs.
    pub fn turns(&self) -> u32 {
        self.entries("SLOTS").unwrap_or(limits::SLOTS) / 4
    }

    /// Entries of the map with this name, where they follow from `gwpool.limits`.
    pub fn entries(&self, map: &str) -> Option<u32> {
        match map {
            // Two entries a flow.
            "ESTABLISHED" => Some(self.flows.saturating_mul(2)),
            "EMBRYONIC" => Some(self.embryonic.saturating_mul(2)),
            "ROUTES" | "ROUTE_NAMES" => Some(self.routes),
            // Id 0 is never used.
            "TURNS" => Some(self.routes.saturating_add(1)),
            "BACKENDS" | "COUNTERS" | "LOADS" => Some(self.backends.saturating_add(1)),
            // See `turns`.
            "SLOTS" => Some(self.backends.saturating_mul(4).max(limits::SLOTS)),
            "LISTENERS" => Some(self.listeners.max(self.routes)),
            "ACCESS" => Some(self.access),
            "SOURCES" => Some(self.sources),
            "FRAGMENTS" => Some(self.fragments),
            _ => None,
        }
    }
}
