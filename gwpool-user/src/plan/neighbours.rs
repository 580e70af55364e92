//! The neighbours a plan wants resolved at all times: the backends of other hosts and the default gateways.
//!
//! The kernel keeps them as managed neighbours, so that a new flow's first packet finds its next hop.
#![forbid(unsafe_code)]

use super::plan::Plan;
use crate::host::Host;
use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;

/// By interface index and address. Permanent entries are left to who made them.
pub fn managed(plan: &Plan, host: &Host) -> BTreeSet<(u32, Ipv4Addr)> {
    // Many routes have the same few backends: each is looked at once.
    let mut backends: HashSet<(&str, Ipv4Addr)> = HashSet::new();
    for route in &plan.routes {
        let addresses = route.backends.iter().filter_map(|backend| backend.address);
        backends.extend(addresses.map(|address| (route.network.as_str(), address)));
    }
    let mut wanted = BTreeSet::new();
    for network in &plan.networks {
        let Some(link) = host.links.get(&network.interface) else {
            continue;
        };
        let on_link = |address: &Ipv4Addr| link.addresses.iter().any(|held| held.contains(address));
        let own = |address: &Ipv4Addr| link.addresses.iter().any(|held| held.addr() == *address);
        let there = backends
            .iter()
            .filter(|(name, _)| *name == network.name)
            .map(|(_, address)| *address)
            .filter(|address| on_link(address) && !own(address));
        wanted.extend(there.map(|address| (link.index, address)));
        wanted.extend(
            host.gateways()
                .filter(|(interface, _)| *interface == link.index),
        );
    }
    wanted.retain(|key| {
        !host
            .neighbours
            .get(key)
            .is_some_and(|neighbour| neighbour.permanent)
    });
    wanted
}

#[cfg(test)]
mod tests;
