//! What the programs counted, summed over CPUs. Only read here: the programs count, and never start over.

use super::error::Error;
use super::loader::Datapath;
use gwpool_common::answers::Answers;
use gwpool_common::reason::Reason;
use gwpool_common::route::Counters;

impl Datapath {
    /// What a backend has carried.
    pub fn counters(&self, backend: u32) -> Result<Counters, Error> {
        let shares = self.maps.counters.get(&backend, 0);
        let shares = shares.map_err(|source| Error::Map {
            map: "COUNTERS",
            what: format!("cannot read entry {backend}"),
            source,
        })?;
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
        let shares = self.maps.answers.get(&0, 0);
        let shares = shares.map_err(|source| Error::Map {
            map: "ANSWERS",
            what: "cannot read it".to_owned(),
            source,
        })?;
        Ok(shares
            .iter()
            .fold(Answers::default(), |sum, share| Answers {
                sent: sum.sent + share.sent,
                withheld: sum.withheld + share.withheld,
                ..sum
            }))
    }

    /// Packets by the reason they ended for, all reasons.
    pub fn reasons(&self) -> Result<Vec<(Reason, u64)>, Error> {
        let count = |reason: &Reason| {
            let shares = self.maps.reasons.get(&(*reason as u32), 0);
            let shares = shares.map_err(|source| Error::Map {
                map: "REASONS",
                what: format!("cannot read the entry of {}", reason.name()),
                source,
            })?;
            Ok((*reason, shares.iter().sum()))
        };
        Reason::ALL.iter().map(count).collect()
    }
}
