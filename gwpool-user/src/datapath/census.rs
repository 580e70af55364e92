//! How many flows there are: in all, by protocol, by backend and by client; pure.
//!
//! A flow is its client side's entry. It is active until both sides have closed it, which only both halves together
//! tell ([`super::halves`]).
#![forbid(unsafe_code)]

use super::flows::is_client_side;
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::limits;
use gwpool_common::net::V4;
use gwpool_ebpf::parse::TCP;
use gwpool_ebpf::pool;
use std::collections::HashMap;

/// The id under which translated flows are counted.
pub const NAT: u32 = 0;

/// What a walk through the tables has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// By backend id.
    backends: Vec<Tally>,
    /// Established, in the order of `SHARES`: TCP, UDP.
    shares: [u64; limits::PROTOCOLS as usize],
    /// Established, by client.
    clients: HashMap<V4, u32>,
    /// Established, translated by address alone.
    unported: u64,
    /// The other tier.
    pub embryonic: Embryonic,
}

/// What the embryonic tier holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embryonic {
    /// Flows, all.
    pub flows: u64,
    /// Those of them that are translated by address alone.
    pub unported: u64,
}

/// One backend's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Entries that name it.
    entries: u32,
    /// Its flows.
    flows: u32,
    /// Those of them that both sides have closed.
    closed: u32,
}

impl Census {
    /// An empty one, with room for as much as `last` has found: a table doubles its way up only once.
    pub fn after(last: &Census) -> Self {
        Census {
            backends: Vec::with_capacity(last.backends.len()),
            clients: HashMap::with_capacity(last.clients.len()),
            ..Census::default()
        }
    }

    /// The same without the clients, who may be many, and with the count of the other tier.
    pub fn without_clients(&self, embryonic: Embryonic) -> Self {
        Census {
            backends: self.backends.clone(),
            shares: self.shares,
            clients: HashMap::new(),
            unported: self.unported,
            embryonic,
        }
    }

    /// Counts an established entry.
    pub fn see(&mut self, key: &FlowKey<V4>, flow: &Flow<V4>) {
        let tally = self.tally(flow.backend_id());
        tally.entries += 1;
        if is_client_side(flow) {
            tally.flows += 1;
            self.shares[share(key.protocol)] += 1;
            *self.clients.entry(key.source).or_default() += 1;
            self.unported += u64::from(is_unported(key, flow));
        }
    }

    /// One of the backend's flows is closed.
    pub fn closed(&mut self, backend: u32) {
        self.tally(backend).closed += 1;
    }

    /// One that was counted has been removed. `key`: its client side's.
    pub fn removed(&mut self, key: &FlowKey<V4>, backend: u32, closed: bool) {
        let tally = self.tally(backend);
        tally.flows = tally.flows.saturating_sub(1);
        tally.closed = tally.closed.saturating_sub(u32::from(closed));
        let share = &mut self.shares[share(key.protocol)];
        *share = share.saturating_sub(1);
        if backend == NAT && pool::place(key.protocol).is_none() {
            self.unported = self.unported.saturating_sub(1);
        }
        if let Some(held) = self.clients.get_mut(&key.source) {
            *held = held.saturating_sub(1);
        }
    }

    /// Established flows, all.
    pub fn established(&self) -> u64 {
        self.shares.iter().sum()
    }

    /// Established flows, in the order of `SHARES`.
    pub fn shares(&self) -> [u64; limits::PROTOCOLS as usize] {
        self.shares
    }

    /// Translated flows of both tiers that have no ports, and so no mapping.
    pub fn unported(&self) -> u64 {
        self.unported + self.embryonic.unported
    }

    /// The backend's established flows that are not closed.
    pub fn active(&self, backend: u32) -> u64 {
        let tally = self.backends.get(backend as usize);
        tally.map_or(0, |tally| {
            u64::from(tally.flows.saturating_sub(tally.closed))
        })
    }

    /// An established entry named the backend.
    pub fn names(&self, backend: u32) -> bool {
        let tally = self.backends.get(backend as usize);
        tally.is_some_and(|tally| tally.entries != 0)
    }

    /// Established flows of the client.
    pub fn held(&self, client: &V4) -> u32 {
        self.clients.get(client).copied().unwrap_or(0)
    }

    /// Clients that hold flows, and how many.
    pub fn clients(&self) -> &HashMap<V4, u32> {
        &self.clients
    }

    fn tally(&mut self, backend: u32) -> &mut Tally {
        let place = backend as usize;
        if place >= self.backends.len() {
            self.backends.resize(place + 1, Tally::default());
        }
        &mut self.backends[place]
    }
}

impl Embryonic {
    /// Counts an entry.
    pub fn see(&mut self, key: &FlowKey<V4>, flow: &Flow<V4>) {
        if is_client_side(flow) {
            self.flows += 1;
            self.unported += u64::from(is_unported(key, flow));
        }
    }
}

fn is_unported(key: &FlowKey<V4>, flow: &Flow<V4>) -> bool {
    flow.flags & Flow::<V4>::NAT != 0 && pool::place(key.protocol).is_none()
}

/// The protocol's place in `SHARES`.
pub fn share(protocol: u8) -> usize {
    usize::from(protocol != TCP)
}

#[cfg(test)]
pub(crate) mod tests;
