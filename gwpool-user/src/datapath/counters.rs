//! What the programs counted, summed over CPUs. Only read here: the programs count, and never start over.

use super::error::Error;
use super::loader::Datapath;
use aya::Pod;
use aya::maps::{MapData, PerCpuArray, PerCpuValues};
use gwpool_common::answers::Answers;
use gwpool_common::reason::Reason;
use gwpool_common::route::Counters;
use std::fmt::Display;

impl Datapath {
    /// What a backend has carried.
    pub fn counters(&self, backend: u32) -> Result<Counters, Error> {
        let shares = shares(&self.maps.counters, "COUNTERS", backend, backend)?;
        Ok(shares
            .iter()
            .fold(Counters::default(), |sum, share| Counters {
                connections: sum.connections + share.connections,
                to_backend_packets: sum.to_backend_packets + share.to_backend_packets,
                to_backend_bytes: sum.to_backend_bytes + share.to_backend_bytes,
                to_client_packets: sum.to_client_packets + share.to_client_packets,
                to_client_bytes: sum.to_client_bytes + share.to_client_bytes,
                redispatches: sum.redispatches + share.redispatches,
            }))
    }

    /// What the programs have answered by themselves; `tick` and `spent` are each CPU's own and left out.
    pub fn answers(&self) -> Result<Answers, Error> {
        let shares = shares(&self.maps.answers, "ANSWERS", 0, 0)?;
        Ok(shares
            .iter()
            .fold(Answers::default(), |sum, share| Answers {
                sent: sum.sent + share.sent,
                withheld: sum.withheld + share.withheld,
                unlogged: sum.unlogged + share.unlogged,
                ..sum
            }))
    }

    /// Packets by the reason they ended for, all reasons.
    pub fn reasons(&self) -> Result<Vec<(Reason, u64)>, Error> {
        let count = |reason: &Reason| {
            let shares = shares(&self.maps.reasons, "REASONS", *reason as u32, reason.name())?;
            Ok((*reason, shares.iter().sum()))
        };
        Reason::ALL.iter().map(count).collect()
    }
}

/// Each CPU's share of an entry, and what to call that.
fn shares<V: Pod>(
    map: &PerCpuArray<MapData, V>,
    name: &'static str,
    index: u32,
    entry: impl Display,
) -> Result<PerCpuValues<V>, Error> {
    map.get(&index, 0).map_err(|source| Error::Map {
        map: name,
        what: format!("cannot read the entry of {entry}"),
        source,
    })
}
