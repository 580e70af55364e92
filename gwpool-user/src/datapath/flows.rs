//! The flow tables as the daemon sees them: walked in slices, so that no walk holds a thread for long.
//!
//! Handles of their own, so that a walk and a write to another map do not wait for each other.

use super::batch::{Table, Walk};
use super::error::Error;
use super::maps::Maps;
use aya::Pod;
use aya::maps::MapData;
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime::closed;
use gwpool_ebpf::pair::mate;
use std::collections::BTreeMap;

/// Both tiers.
#[derive(Debug)]
pub struct Flows {
    established: Table<FlowKey<V4>, Flow<V4>>,
    embryonic: Table<FlowKey<V4>, Embryo<V4>>,
}

/// How many flows there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Established and not closed by both sides, by backend id.
    pub active: BTreeMap<u32, u64>,
    /// Established, all: what the table holds.
    pub established: u64,
    /// Embryonic, all.
    pub embryonic: u64,
}

impl Flows {
    /// Handles of both tables.
    pub fn of(maps: &Maps) -> Result<Self, Error> {
        Ok(Flows {
            established: table(&maps.established, "ESTABLISHED")?,
            embryonic: table(&maps.embryonic, "EMBRYONIC")?,
        })
    }

    /// Shows every established entry, slice by slice.
    pub async fn each_established(
        &self,
        mut see: impl FnMut(&FlowKey<V4>, &Flow<V4>),
    ) -> Result<(), Error> {
        walk(self.established.walk(), "ESTABLISHED", |key, flow| {
            see(key, flow)
        })
        .await
    }

    /// Shows every embryonic entry, slice by slice.
    pub async fn each_embryonic(
        &self,
        mut see: impl FnMut(&FlowKey<V4>, &Flow<V4>),
    ) -> Result<(), Error> {
        walk(self.embryonic.walk(), "EMBRYONIC", |key, embryo| {
            see(key, &embryo.flow)
        })
        .await
    }

    /// Counts both tiers, in flows: client side entries.
    pub async fn census(&self) -> Result<Census, Error> {
        let mut census = Census::default();
        // Halves on which a FIN or RST was seen: few, and only two together tell a closed flow.
        let mut ending = BTreeMap::new();
        self.each_established(|key, flow| {
            if is_client_side(flow) {
                census.established += 1;
                *census.active.entry(backend(flow)).or_default() += 1;
            }
            if flow.flags & (Flow::<V4>::FIN | Flow::<V4>::RST) != 0 {
                ending.insert(*key, *flow);
            }
        })
        .await?;
        for backend in closed_flows(&ending) {
            if let Some(active) = census.active.get_mut(&backend) {
                *active = active.saturating_sub(1);
            }
        }
        self.each_embryonic(|_, flow| census.embryonic += u64::from(is_client_side(flow)))
            .await?;
        Ok(census)
    }
}

/// The backend of each closed flow among these halves, once a flow.
fn closed_flows(ending: &BTreeMap<FlowKey<V4>, Flow<V4>>) -> Vec<u32> {
    let mut backends = Vec::new();
    for (key, half) in ending {
        let other = ending.get(&mate(key.protocol, &half.rewrite));
        let first = is_client_side(half) || other.is_none();
        if first && closed(half.flags, other.map_or(0, |other| other.flags)) {
            backends.push(backend(half));
        }
    }
    backends
}

/// Whether the entry matches what the client sends.
pub fn is_client_side(flow: &Flow<V4>) -> bool {
    flow.flags & Flow::<V4>::BACKEND_SIDE == 0
}

/// The id of the backend a flow names.
pub fn backend(flow: &Flow<V4>) -> u32 {
    let [low, middle, high] = flow.backend;
    u32::from_le_bytes([low, middle, high, 0])
}

fn table<K: Pod + Default, V: Pod + Default>(
    map: &aya::maps::HashMap<MapData, K, V>,
    name: &'static str,
) -> Result<Table<K, V>, Error> {
    use aya::maps::IterableMap as _;
    Table::of(map.map()).map_err(|source| Error::Batch { map: name, source })
}

async fn walk<K: Pod + Default, V: Pod + Default>(
    mut walk: Walk<'_, K, V>,
    name: &'static str,
    mut see: impl FnMut(&K, &V),
) -> Result<(), Error> {
    while let Some(slice) = walk
        .next_slice()
        .map_err(|source| Error::Batch { map: name, source })?
    {
        for (key, value) in &slice {
            see(key, value);
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}
