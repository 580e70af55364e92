//! A plan's translation laid on a host: which of its addresses are here now, which prefixes are inside, and what the
//! programs are told.
//!
//! Addresses come and go with their host's role; mappings and flows are not looked at. An interface that has lost its
//! address keeps what was known of it: frames on their way must not find the guard open.
#![forbid(unsafe_code)]

use super::error::Error;
use super::ground::{self, Links, link};
use super::nat::{Nat, SeenAs};
use super::plan::Plan;
use crate::host::{Host, Link};
use gwpool_common::limits::NAT_ADDRESSES;
use gwpool_common::nat::Nat as InMap;
use gwpool_common::net::V4;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Who the plan's sections are told by.
const USER: &str = "gwpool.nat";

/// What `NAT` should hold.
pub fn wanted(
    installed: &InMap<V4>,
    plan: &Plan,
    host: &Host,
    links: &Links,
) -> Result<InMap<V4>, Error> {
    let Some(nat) = &plan.nat else {
        return Ok(InMap::default());
    };
    let (inside, outside) = (
        link(links, &nat.inside, USER)?,
        link(links, &nat.outside, USER)?,
    );
    refuse_overlap(plan, nat, inside, outside)?;
    let held = held(plan, nat, host, outside);
    let mut addresses = [V4::default(); NAT_ADDRESSES as usize];
    for (place, address) in addresses.iter_mut().zip(&held) {
        *place = address.octets();
    }
    let timers = &nat.timers;
    Ok(InMap {
        flags: flags(nat, !held.is_empty()),
        inside: inside.index,
        outside: outside.index,
        own: own(installed, plan, nat, inside)?,
        addresses,
        address_count: held.len().min(addresses.len()) as u32,
        ports_per_host: nat.ports_per_host,
        tcp_filtering: nat.tcp_filtering.number(),
        udp_filtering: nat.udp_filtering.number(),
        tcp_established_s: timers.tcp_established_s,
        tcp_transitory_s: timers.tcp_transitory_s,
        udp_s: timers.udp_s,
        udp_unreplied_s: timers.udp_unreplied_s,
        icmp_s: timers.icmp_s,
        other_s: timers.other_s,
        longest_s: timers.all().into_iter().max().unwrap_or_default(),
    })
}

fn flags(nat: &Nat, active: bool) -> u32 {
    let access = &nat.access;
    let flags = [
        (true, InMap::<V4>::ON),
        (active, InMap::<V4>::ACTIVE),
        (nat.overload, InMap::<V4>::OVERLOADS),
        (nat.log, InMap::<V4>::LOGS),
        (
            !(access.allow.is_empty() && access.deny.is_empty()),
            InMap::<V4>::GUARDED,
        ),
        (!access.allow.is_empty(), InMap::<V4>::DENIES_REST),
    ];
    let set = flags.iter().filter(|(set, _)| *set);
    set.fold(0, |all, (_, flag)| all | flag)
}

/// The NAT addresses that this host has now, on whatever interface, in the plan's order.
pub fn held(plan: &Plan, nat: &Nat, host: &Host, outside: &Link) -> Vec<Ipv4Addr> {
    if nat.seen_as == SeenAs::Interface {
        let network = plan.network(&nat.outside);
        let first = network.and_then(|network| ground::own(network, outside));
        return first.into_iter().collect();
    }
    let is_here = |address: &&Ipv4Addr| {
        let mut all = host.links.values().flat_map(|link| &link.addresses);
        all.any(|held| held.addr() == **address)
    };
    let planned = nat.seen_as.addresses().iter();
    planned.filter(is_here).copied().collect()
}

/// Our own address inside; while the interface has none, the one that was known.
fn own(installed: &InMap<V4>, plan: &Plan, nat: &Nat, inside: &Link) -> Result<V4, Error> {
    let network = plan.network(&nat.inside);
    let found = network.and_then(|network| ground::own(network, inside));
    let known = (installed.inside == inside.index).then_some(installed.own);
    let own = found.map(|address| address.octets());
    own.or(known.filter(|own| *own != V4::default()))
        .ok_or_else(|| Error::NothingInside {
            network: nat.inside.clone(),
            interface: network.map_or_else(String::new, |network| network.interface.clone()),
        })
}

/// RFC 4787 REQ-7: an address that is inside and outside could not be told apart.
fn refuse_overlap(plan: &Plan, nat: &Nat, inside: &Link, outside: &Link) -> Result<(), Error> {
    let interface = |network: &str| {
        let found = plan.network(network);
        found.map_or_else(String::new, |network| network.interface.clone())
    };
    let connected = inside.addresses.iter().map(Ipv4Net::trunc);
    let connected = connected.map(|prefix| (prefix, interface(&nat.inside)));
    let sources = nat
        .sources
        .iter()
        .map(|prefix| (*prefix, "gwpool.nat.sources".to_owned()));
    for (prefix, whose) in connected.chain(sources) {
        let meets = |held: &&Ipv4Net| prefix.contains(&held.trunc()) || held.contains(&prefix);
        if let Some(held) = outside.addresses.iter().find(meets) {
            return Err(Error::Overlap {
                inside: format!("{prefix} ({whose})"),
                outside: format!("{} ({})", held.trunc(), interface(&nat.outside)),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
