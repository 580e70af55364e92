//! What translation has done, from what was read elsewhere: the `nat` of a snapshot; pure.
//!
//! Its flows and packets are counted under the backend id that no route has; whom it translates, and as whom, is what the
//! programs go by, not what the plan says.

use super::snapshot::{Mappings, Nat, Sources, Volume};
use crate::datapath::census::NAT;
use gwpool_common::nat;
use gwpool_common::net::{Network, V4};
use gwpool_common::reason::Reason;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

impl Nat {
    /// Empty where nothing is translated.
    pub fn of(sources: &Sources<'_>) -> Self {
        let settings = &sources.image.nat;
        let is_on = settings.flags & nat::Nat::<V4>::ON != 0;
        let inside = |network: &&Network<V4>| is_on && network.interface == settings.inside;
        let networks = sources.image.networks.iter().filter(inside);
        let addresses = settings
            .addresses
            .iter()
            .take(settings.address_count as usize);
        let carried = sources.counters.get(&NAT).copied().unwrap_or_default();
        let [tcp, udp, icmp] = sources.filled.mappings;
        Nat {
            sources: networks.map(prefix).collect(),
            addresses: addresses
                .map(|address| Ipv4Addr::from(*address).to_string())
                .collect(),
            active: settings.flags & nat::Nat::<V4>::ACTIVE != 0,
            mappings: Mappings {
                tcp,
                udp,
                icmp,
                other: sources.census.unported(),
            },
            overloaded_total: carried.redispatches,
            connections_total: carried.connections,
            flows_active: sources.census.active(NAT),
            to_outside: Volume {
                packets: carried.to_backend_packets,
                bytes: carried.to_backend_bytes,
            },
            to_inside: Volume {
                packets: carried.to_client_packets,
                bytes: carried.to_client_bytes,
            },
            allocation_failures_total: count(
                sources,
                &[Reason::NatExhausted, Reason::NatOverPorts],
            ),
            leaks_prevented_total: count(sources, &[Reason::LeakPrevented]),
            unlogged_total: sources.answers.unlogged,
        }
    }
}

fn count(sources: &Sources<'_>, reasons: &[Reason]) -> u64 {
    let counted = sources.reasons.iter();
    counted
        .filter(|(reason, _)| reasons.contains(reason))
        .map(|(_, packets)| packets)
        .sum()
}

fn prefix(network: &Network<V4>) -> String {
    let first = Ipv4Addr::from(network.prefix);
    match Ipv4Net::with_netmask(first, network.mask.into()) {
        Ok(prefix) => prefix.to_string(),
        // No mask that the daemon writes.
        Err(_) => format!("{first}/{}", Ipv4Addr::from(network.mask)),
    }
}

#[cfg(test)]
pub(super) mod tests;
