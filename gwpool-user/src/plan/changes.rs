//! What is to be changed, map by map, and the one order in which it is written.
//!
//! Order is what keeps packets right meanwhile: what is named goes before what names it (ports, backends, slots, access,
//! routes, listeners, translation), and away after it.
#![forbid(unsafe_code)]

use super::image::MapWrite;
use gwpool_common::limits::Settings;
use gwpool_common::nat::Nat;
use gwpool_common::net::{Address, Interface, Network, V4};
use gwpool_common::route::{Backend, Listener, Listening, Route};
use ipnet::Ipv4Net;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

/// The way from what is installed to what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The writes, in order.
    pub writes: Vec<MapWrite>,
    /// The pools that are others afterwards; `None`: the route is gone. In no map, see [`super::Image::pools`].
    pub pools: Vec<(u32, Option<Vec<u32>>)>,
    /// The stretches of `SLOTS` that run no longer afterwards; `None`: all runs stay.
    pub replaced: Option<Vec<Range<u32>>>,
    /// It lays a plan whole.
    pub lays: bool,
}

/// Entries of one map: those that are new or different, and those that go.
#[derive(Clone, Debug)]
pub struct Entries<K, V> {
    /// To be written.
    pub set: Vec<(K, V)>,
    /// To be removed.
    pub gone: Vec<K>,
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Entries {
            set: Vec::new(),
            gone: Vec::new(),
        }
    }
}

impl<K: Ord + Copy, V: Copy + PartialEq> Entries<K, V> {
    /// From one state of a map to another, in whatever order that comes; of two values of a key the later holds.
    pub fn between(from: &BTreeMap<K, V>, mut to: Vec<(K, V)>) -> Self {
        to.sort_by_key(|(key, _)| *key);
        let mut entries = Entries::default();
        let mut before = from.iter().peekable();
        for (index, (key, value)) in to.iter().enumerate() {
            if to.get(index + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            let mut known = None;
            while let Some((old, value)) = before.peek() {
                match (*old).cmp(key) {
                    Ordering::Less => entries.gone.push(**old),
                    Ordering::Equal => known = Some(**value),
                    Ordering::Greater => break,
                }
                before.next();
            }
            if known != Some(*value) {
                entries.set.push((*key, *value));
            }
        }
        entries.gone.extend(before.map(|(key, _)| *key));
        entries
    }
}

/// What is to be changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// `SETTINGS`.
    pub settings: Option<Settings>,
    /// `NAT`.
    pub nat: Option<Nat<V4>>,
    /// `INTERFACES`.
    pub interfaces: Entries<u32, Interface>,
    /// `NETWORKS`, in the order they are to be written.
    pub networks: Vec<(u32, Network<V4>)>,
    /// `ADDRESSES`.
    pub addresses: Entries<V4, Address>,
    /// `FLOW_PORTS`.
    pub flow_ports: Vec<(u32, u64)>,
    /// `LISTENERS`.
    pub listeners: Entries<Listener<V4>, Listening>,
    /// `ACCESS`.
    pub access: Entries<(u32, Ipv4Net), bool>,
    /// `ROUTES`.
    pub routes: Entries<u32, Route>,
    /// `ROUTE_NAMES`.
    pub names: Entries<u32, String>,
    /// `SLOTS`.
    pub slots: Vec<(u32, u32)>,
    /// `BACKENDS`.
    pub backends: Entries<u32, Backend<V4>>,
}

impl Changes {
    /// As writes.
    pub fn ordered(self) -> Vec<MapWrite> {
        let mut writes = Vec::new();
        writes.extend(self.settings.map(MapWrite::Settings));
        let (on, off) = match self.nat {
            Some(nat) if nat.flags & Nat::<V4>::ON == 0 => (None, Some(nat)),
            nat => (nat, None),
        };
        writes.extend(off.map(MapWrite::Nat));
        set(&mut writes, self.interfaces.set, MapWrite::Interface);
        let flow_ports = self.flow_ports.into_iter();
        writes.extend(flow_ports.map(|(index, marks)| MapWrite::FlowPorts(index, marks)));
        set(&mut writes, self.backends.set, MapWrite::Backend);
        let slots = self.slots.into_iter();
        writes.extend(slots.map(|(index, backend)| MapWrite::Slot(index, backend)));
        set(&mut writes, self.names.set, MapWrite::Name);
        set(&mut writes, self.access.set, access);
        set(&mut writes, self.routes.set, MapWrite::Route);
        let networks = self.networks.into_iter();
        writes.extend(networks.map(|(index, network)| MapWrite::Network(index, network)));
        set(&mut writes, self.addresses.set, MapWrite::Address);
        set(&mut writes, self.listeners.set, MapWrite::Listener);
        // It stands on guarded prefixes, own addresses and access.
        writes.extend(on.map(MapWrite::Nat));

        gone(&mut writes, self.listeners.gone, MapWrite::Listener);
        gone(&mut writes, self.addresses.gone, MapWrite::Address);
        gone(&mut writes, self.routes.gone, MapWrite::Route);
        gone(&mut writes, self.access.gone, access);
        gone(&mut writes, self.backends.gone, MapWrite::Backend);
        gone(&mut writes, self.names.gone, MapWrite::Name);
        gone(&mut writes, self.interfaces.gone, MapWrite::Interface);
        writes
    }
}

fn access((route, prefix): (u32, Ipv4Net), allowed: Option<bool>) -> MapWrite {
    MapWrite::Access(route, prefix, allowed)
}

fn set<K, V>(writes: &mut Vec<MapWrite>, set: Vec<(K, V)>, write: fn(K, Option<V>) -> MapWrite) {
    writes.extend(set.into_iter().map(|(key, value)| write(key, Some(value))));
}

fn gone<K, V>(writes: &mut Vec<MapWrite>, gone: Vec<K>, write: fn(K, Option<V>) -> MapWrite) {
    writes.extend(gone.into_iter().map(|key| write(key, None)));
}
