//! Maps to an image, and map writes to maps: in the order they come, all of one sort in one system call.
//!
//! What is removed may already be gone; everything else that fails is reported with the map and the write, and the
//! caller reads the maps again before it goes on.

use super::error::Error;
use super::loader::Datapath;
use super::tables::{Tables, guarded, name, padded, prefix};
use crate::plan::{Ids, Image, MapWrite};
use gwpool_common::route::Route;
use std::mem::discriminant;

impl Datapath {
    /// What the configuration maps hold.
    pub fn installed(&self) -> Result<Image, Error> {
        let tables = &self.tables;
        let backends = tables.backends.all()?.into_iter();
        let routes: Ids<Route> = tables.routes.all()?.into_iter().collect();
        // What stands behind the last run is nobody's, and is written anew before it is somebody's.
        let ends = routes
            .values()
            .map(|route| route.slot_first + route.slot_count);
        let used = ends.max().unwrap_or(0) as usize;
        let slots = tables.slots.first(used)?.into_iter().take(used);
        let networks = tables.networks.all()?.into_iter();
        let flow_ports = tables.flow_ports.all()?.into_iter();
        let access = tables.access.all()?.into_iter();
        let settings = tables.settings.all()?;
        let nat = tables.nat.all()?;
        Ok(Image {
            settings: settings
                .first()
                .map_or_else(Default::default, |(_, one)| *one),
            nat: nat.first().map_or_else(Default::default, |(_, one)| *one),
            interfaces: tables.interfaces.all()?.into_iter().collect(),
            networks: networks
                .map(|(_, network)| network)
                .take_while(|network| network.interface != 0)
                .collect(),
            addresses: tables.addresses.all()?.into_iter().collect(),
            flow_ports: flow_ports.filter(|(_, marks)| *marks != 0).collect(),
            listeners: tables.listeners.all()?.into_iter().collect(),
            access: access
                .map(|(key, allowed)| Ok((guarded(key)?, allowed != 0)))
                .collect::<Result<_, Error>>()?,
            routes,
            names: tables
                .names
                .all()?
                .into_iter()
                .map(|(id, bytes)| (id, name(&bytes)))
                .collect(),
            slots: slots.map(|(_, backend)| backend).collect(),
            backends: backends.filter(|(_, backend)| backend.route != 0).collect(),
            pools: Ids::default(),
            replaced: Vec::new(),
            laid: false,
        })
    }

    /// Writes, in order; stops at the first that fails. How many system calls it took.
    pub fn apply(&mut self, writes: &[MapWrite]) -> Result<usize, Error> {
        let mut calls = 0;
        for sort in writes.chunk_by(same_sort) {
            calls += write(&self.tables, sort)?;
        }
        Ok(calls)
    }
}

/// To the same map, and both set or both remove.
fn same_sort(one: &MapWrite, other: &MapWrite) -> bool {
    discriminant(one) == discriminant(other) && removes(one) == removes(other)
}

fn removes(write: &MapWrite) -> bool {
    match write {
        MapWrite::Settings(_)
        | MapWrite::Nat(_)
        | MapWrite::Network(..)
        | MapWrite::FlowPorts(..)
        | MapWrite::Slot(..) => false,
        MapWrite::Interface(_, value) => value.is_none(),
        MapWrite::Address(_, value) => value.is_none(),
        MapWrite::Listener(_, value) => value.is_none(),
        MapWrite::Access(_, _, value) => value.is_none(),
        MapWrite::Route(_, value) => value.is_none(),
        MapWrite::Name(_, value) => value.is_none(),
        MapWrite::Backend(_, value) => value.is_none(),
    }
}

/// Writes that are all of the first one's sort.
fn write(tables: &Tables, writes: &[MapWrite]) -> Result<usize, Error> {
    use MapWrite as To;
    macro_rules! to {
        ($table:ident, $pattern:pat => $entry:expr) => {
            tables.$table.write(writes, |write| match write {
                $pattern => Some($entry),
                _ => None,
            })
        };
    }
    match &writes[0] {
        To::Settings(_) => to!(settings, To::Settings(settings) => (0, Some(*settings))),
        To::Nat(_) => to!(nat, To::Nat(nat) => (0, Some(*nat))),
        To::Interface(..) => to!(interfaces, To::Interface(index, value) => (*index, *value)),
        To::Network(..) => to!(networks, To::Network(index, value) => (*index, Some(*value))),
        To::Address(..) => to!(addresses, To::Address(address, value) => (*address, *value)),
        To::FlowPorts(..) => {
            to!(flow_ports, To::FlowPorts(index, marks) => (*index, Some(*marks)))
        }
        To::Listener(..) => to!(listeners, To::Listener(listener, value) => (*listener, *value)),
        To::Access(..) => to!(access, To::Access(route, net, value) => {
            (prefix(*route, *net), value.map(u32::from))
        }),
        To::Route(..) => to!(routes, To::Route(id, value) => (*id, *value)),
        To::Name(..) => to!(names, To::Name(id, value) => (*id, value.as_deref().map(padded))),
        To::Slot(..) => to!(slots, To::Slot(index, backend) => (*index, Some(*backend))),
        To::Backend(_, value) => {
            let calls = to!(backends, To::Backend(id, value) => {
                (*id, Some(value.unwrap_or_default()))
            })?;
            if value.is_some() {
                return Ok(calls);
            }
            // The ids may be other backends' next: they start from zero.
            let ids: Vec<u32> = writes.iter().filter_map(freed).collect();
            Ok(calls + tables.counters.clear(&ids)?)
        }
    }
}

fn freed(write: &MapWrite) -> Option<u32> {
    match write {
        MapWrite::Backend(id, None) => Some(*id),
        _ => None,
    }
}
