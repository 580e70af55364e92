//! What a plan would stumble over on this host, without being impossible: said loudly, with what to do.
#![forbid(unsafe_code)]

use super::nat::SeenAs;
use super::plan::Plan;
use crate::host::Host;
use std::net::Ipv4Addr;

/// One line each.
pub fn warnings(plan: &Plan, host: &Host) -> Vec<String> {
    let mut warnings = Vec::new();
    for network in &plan.networks {
        let interface = &network.interface;
        let Some(link) = host.links.get(interface) else {
            continue;
        };
        if !link.up {
            warnings.push(format!(
                "interface {interface} is down: ip link set {interface} up"
            ));
        }
        if !link.forwarding {
            warnings.push(format!(
                "forwarding is off on {interface}, so what comes in there is not sent on (counted as \
                 forwarding_disabled): sysctl -w net.ipv4.conf.{interface}.forwarding=1, or net.ipv4.ip_forward=1"
            ));
        }
    }
    warnings.extend(absent(plan, host));
    warnings
}

/// NAT addresses that nobody moves, and that are not here. A VIP may well be on another host.
fn absent(plan: &Plan, host: &Host) -> Vec<String> {
    let nat = plan.nat.as_ref().map(|nat| (nat, &nat.seen_as));
    let Some((nat, SeenAs::Given(addresses))) = nat else {
        return Vec::new();
    };
    let outside = plan.network(&nat.outside);
    let interface = outside.map_or(nat.outside.as_str(), |network| &network.interface);
    let is_here = |address: &&Ipv4Addr| {
        let mut held = host.links.values().flat_map(|link| &link.addresses);
        held.any(|held| held.addr() == **address)
    };
    let absent = addresses.iter().filter(|address| !is_here(address));
    absent
        .map(|address| {
            format!(
                "nothing is translated as {address} (gwpool.nat) while no interface has it: ip address add {address}/32 dev {interface}"
            )
        })
        .collect()
}
