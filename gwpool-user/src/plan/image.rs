//! What the maps of configuration hold, as plain values: read from the maps at adoption, kept beside them afterwards.
//!
//! [`Image::apply`] does to an image what `datapath::apply` does to the maps, so that an image follows by the same
//! writes, and tests can look at every state a packet could meet between two of them. Flows, turns and counters are
//! not here: only the programs write those.
#![forbid(unsafe_code)]

use super::changes::Difference;
use super::ids::{Ids, Names};
use super::plan::Limits;
use gwpool_common::limits::{self, Settings};
use gwpool_common::nat::Nat;
use gwpool_common::net::{Address, Interface, Network, V4};
use gwpool_common::route::{Backend, Listener, Listening, Route};
use gwpool_ebpf::tier;
use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;

/// The configuration maps, as they are or as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `SETTINGS`.
    pub settings: Settings,
    /// `NAT`.
    pub nat: Nat<V4>,
    /// `INTERFACES`, by interface index.
    pub interfaces: BTreeMap<u32, Interface>,
    /// `NETWORKS`, up to the first empty entry.
    pub networks: Vec<Network<V4>>,
    /// `ADDRESSES`.
    pub addresses: BTreeMap<V4, Address>,
    /// `FLOW_PORTS`, those that are not zero.
    pub flow_ports: BTreeMap<u32, u64>,
    /// `LISTENERS`.
    pub listeners: BTreeMap<Listener<V4>, Listening>,
    /// `ACCESS`, by route id and prefix: whether it is allowed.
    pub access: BTreeMap<(u32, Ipv4Net), bool>,
    /// `ROUTES`, by route id.
    pub routes: Ids<Route>,
    /// `ROUTE_NAMES`, by route id.
    pub names: Names,
    /// `SLOTS`, up to the end of the last run or further.
    pub slots: Vec<u32>,
    /// `BACKENDS`, by backend id, retired ones included.
    pub backends: Ids<Backend<V4>>,
    /// The plan's backend ids by route id, in the plan's order, those that take no turns included. In no map: known
    /// once a plan is laid.
    pub pools: Ids<Vec<u32>>,
    /// Stretches of `SLOTS` that were running until the last change: a packet may still be reading them.
    pub replaced: Vec<Range<u32>>,
    /// A plan was laid whole: every run is what its pool gives, so where no backend moves no run does.
    pub laid: bool,
}

/// One write to one map. Order matters: see [`super::diff`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapWrite {
    /// The settings, whole.
    Settings(Settings),
    /// What the programs are told of translation, whole.
    Nat(Nat<V4>),
    /// An interface is managed, or no longer.
    Interface(u32, Option<Interface>),
    /// An entry of the array of guarded prefixes; all zeros ends the list.
    Network(u32, Network<V4>),
    /// An address, or its removal.
    Address(V4, Option<Address>),
    /// An entry of `FLOW_PORTS`.
    FlowPorts(u32, u64),
    /// Who listens there, or its removal.
    Listener(Listener<V4>, Option<Listening>),
    /// A prefix of a route's `allow` or `deny`, or its removal.
    Access(u32, Ipv4Net, Option<bool>),
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
            MapWrite::Nat(nat) => self.nat = *nat,
            MapWrite::Interface(index, value) => set(&mut self.interfaces, index, value),
            MapWrite::Network(index, network) => self.set_network(*index as usize, *network),
            MapWrite::Address(address, value) => set(&mut self.addresses, address, value),
            MapWrite::FlowPorts(index, marks) => {
                self.flow_ports.insert(*index, *marks);
            }
            MapWrite::Listener(listener, value) => set(&mut self.listeners, listener, value),
            MapWrite::Access(id, prefix, value) => set(&mut self.access, &(*id, *prefix), value),
            MapWrite::Route(id, value) => set_id(&mut self.routes, *id, value.as_ref()),
            MapWrite::Name(id, Some(name)) => self.names.insert(*id, name.clone()),
            MapWrite::Name(id, None) => self.names.remove(id),
            MapWrite::Slot(index, backend) => self.set_slot(*index as usize, *backend),
            MapWrite::Backend(id, value) => set_id(&mut self.backends, *id, value.as_ref()),
        }
    }

    /// Follows a difference whose writes are done.
    pub fn follow(&mut self, difference: Difference) {
        for write in &difference.writes {
            self.apply(write);
        }
        for (id, pool) in difference.pools {
            set_id(&mut self.pools, id, pool.as_ref());
        }
        if let Some(replaced) = difference.replaced {
            self.replaced = replaced;
        }
        self.laid |= difference.lays;
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
        self.names.id(name)
    }

    /// What the most specific prefix that the route has for this client says; `None`: it has none.
    pub fn access(&self, route: u32, client: Ipv4Addr) -> Option<bool> {
        let any = Ipv4Net::default();
        self.access
            .range((route, any)..(route + 1, any))
            .filter(|((_, prefix), _)| prefix.contains(&client))
            .max_by_key(|((_, prefix), _)| prefix.prefix_len())
            .map(|(_, allowed)| *allowed)
    }
}

fn set_id<V: Clone>(ids: &mut Ids<V>, id: u32, value: Option<&V>) {
    match value {
        Some(value) => ids.insert(id, value.clone()),
        None => ids.remove(&id),
    };
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

    /// There are mappings: the programs are loaded with all that translation takes.
    pub fn translates(&self) -> bool {
        self.mappings > 0
    }

    /// Of a node that does not translate: its tables for that take no memory.
    pub fn without_mappings(self) -> Limits {
        Limits {
            mappings: 0,
            permissions: 0,
            subscribers: 0,
            ..self
        }
    }

    /// Entries of the map with this name, where they follow from `gwpool.limits`.
    pub fn entries(&self, map: &str) -> Option<u32> {
        match map {
            // Two entries a flow.
            "FLOW_TAGS" => Some(tier::keeping(self.flows.saturating_mul(2))),
            "EMBRYO_TAGS" => Some(tier::evicting(self.embryonic.saturating_mul(2))),
            "ESTABLISHED" => self.entries("FLOW_TAGS").map(tier::ways),
            "EMBRYONIC" => self.entries("EMBRYO_TAGS").map(tier::ways),
            "ROUTES" | "ROUTE_NAMES" => Some(self.routes),
            // Id 0 is never used.
            "TURNS" => Some(self.routes.saturating_add(1)),
            "BACKENDS" | "COUNTERS" | "LOADS" => Some(self.backends.saturating_add(1)),
            // See `turns`.
            "SLOTS" => Some(self.backends.saturating_mul(4).max(limits::SLOTS)),
            // Twice: what comes is written before what it replaces goes.
            "LISTENERS" => Some(self.listeners.saturating_mul(2)),
            "ACCESS" => Some(self.access.saturating_mul(2)),
            "SOURCES" => Some(self.sources),
            "FRAGMENTS" => Some(self.fragments),
            // Two entries a mapping. No map is empty.
            "MAPPINGS" => Some(self.mappings.saturating_mul(2).max(1)),
            "PERMISSIONS" => Some(self.permissions.max(1)),
            "BOUND" | "BINDERS" if !self.translates() => Some(1),
            "SUBSCRIBERS" => Some(self.subscribers.max(1)),
            _ => None,
        }
    }
}
