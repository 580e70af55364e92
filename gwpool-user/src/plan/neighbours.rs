//! The neighbours a plan wants resolved at all times: the backends of other hosts and the default gateways.
//!
//! The kernel keeps them as managed neighbours, so that a new flow's first packet finds its next hop.
#![forbid(unsafe_code)]

use super::plan::Plan;
use crate::host::Host;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// By interface index and address. Permanent entries are left to who made them.
pub fn managed(plan: &Plan, host: &Host) -> BTreeSet<(u32, Ipv4Addr)> {
    let mut wanted = BTreeSet::new();
    for network in &plan.networks {
        let Some(link) = host.links.get(&network.interface) else {
            continue;
        };
        let backends = plan
            .routes
            .iter()
            .filter(|route| route.network == network.name);
        let addresses = backends
            .flat_map(|route| &route.backends)
            .filter_map(|backend| backend.address);
        let on_link = |address: &Ipv4Addr| link.addresses.iter().any(|held| held.contains(address));
        let own = |address: &Ipv4Addr| link.addresses.iter().any(|held| held.addr() == *address);
        wanted.extend(
            addresses
                .filter(|address| on_link(address) && !own(address))
                .map(|address| (link.index, address)),
        );
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
