//! What no single value shows: routes that take each other's packets, backends that are one, more than tables hold.
//!
//! Pure comparisons of what has been resolved; each error names both sides.
#![forbid(unsafe_code)]

use super::ports::Ports;
use super::report::{Cause, Findings, Place};
use super::routes::RouteWords;
use crate::plan::{Backend, ListenAddress, Peer, Plan, Protocol, Route};
use gwpool_common::limits::NETWORKS;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// A place where a route listens.
struct Claim<'a> {
    ports: Ports,
    route: &'a RouteWords,
    address: ListenAddress,
    at: &'a Place,
}

/// The same address, or `*` twice, with a port and a protocol in common. `*` beside an address is no overlap: the
/// address wins.
pub fn refuse_overlaps(routes: &[RouteWords], findings: &Findings) {
    let mut claims: BTreeMap<(Protocol, ListenAddress), Vec<Claim>> = BTreeMap::new();
    for route in routes {
        for (address, at) in &route.listen {
            let claim = Claim {
                ports: route.ports,
                route,
                address: *address,
                at,
            };
            let key = (route.protocol(), *address);
            claims.entry(key).or_default().push(claim);
        }
    }
    for claims in claims.values_mut() {
        // Stable: of two that begin at one port, the first as written comes first.
        claims.sort_by_key(|claim| claim.ports.first);
        let mut widest: Option<&Claim> = None;
        for claim in &*claims {
            if let Some(other) = widest.filter(|other| other.ports.meets(claim.ports)) {
                refuse_overlap(other, claim, findings);
            }
            if widest.is_none_or(|other| other.ports.last() < claim.ports.last()) {
                widest = Some(claim);
            }
        }
    }
}

/// The finger points at what is written later.
fn refuse_overlap(one: &Claim, other: &Claim, findings: &Findings) {
    let (first, second) = if one.at <= other.at {
        (one, other)
    } else {
        (other, one)
    };
    let listens = |claim: &Claim| {
        let address = match claim.address {
            ListenAddress::Any => "*".to_owned(),
            ListenAddress::One(address) => address.to_string(),
        };
        let protocol = claim.route.protocol().name();
        format!("{address}:{}/{protocol}", claim.ports)
    };
    let what = format!(
        "the route `{}` listens on {}",
        second.route.name,
        listens(second)
    );
    let name = &first.route.name;
    let other = match first.ports == second.ports {
        true => format!("`{name}`"),
        false => format!("`{name}` on {}", listens(first)),
    };
    let cause = Cause::Clash {
        what,
        other,
        first: first.at.clone(),
    };
    findings.error(second.at, cause);
}

/// A gateway that gets a client's own packet for a port it listens on would balance it again. Full NAT does not loop:
/// gateways know each other's addresses.
pub fn refuse_loops(routes: &[(Route, Option<Place>)], peers: &[Peer], findings: &Findings) {
    let peers: BTreeSet<(&str, Ipv4Addr)> = peers
        .iter()
        .map(|peer| (peer.network.as_str(), peer.address))
        .collect();
    for (route, at) in routes {
        let (Some(at), Some(first)) = (at, route.backends.first()) else {
            continue;
        };
        let to = Ports::reached(route, first);
        let listen = Ports::listened(route);
        let listens_at = |address| route.listen.contains(&address);
        let is_gateway = |backend: &&Backend| {
            let network = route.network.as_str();
            let any = listens_at(ListenAddress::Any);
            match backend.address {
                // This node: its backends find it by an address that only its interface knows.
                None => any,
                Some(address) => {
                    peers.contains(&(network, address))
                        && (any || listens_at(ListenAddress::One(address)))
                }
            }
        };
        let gateways = route.backends.iter().filter(is_gateway);
        let hosts: Vec<String> = gateways.map(|backend| backend.name.clone()).collect();
        if to.meets(listen) && !hosts.is_empty() {
            let (listen, to) = (listen.to_string(), to.to_string());
            let route = route.name.clone();
            findings.error(
                at,
                Cause::Loop {
                    route,
                    listen,
                    to,
                    hosts,
                },
            );
        }
    }
}

/// Two backends of a route at one address: one of them would get two turns.
pub fn refuse_same_backends(
    route: &str,
    backends: &[(Backend, Place)],
    own: Option<Ipv4Addr>,
    findings: &Findings,
) {
    let mut taken: BTreeMap<Option<Ipv4Addr>, (&str, &Place)> = BTreeMap::new();
    for (backend, at) in backends {
        // This node is where its interface is; if the inventory says where that is, nobody else may be there.
        let address = backend.address.filter(|address| Some(*address) != own);
        match taken.get(&address) {
            None => {
                taken.insert(address, (&backend.name, at));
            }
            Some((other, first)) => {
                let place = address
                    .or(own)
                    .map_or("this node".to_owned(), |address| address.to_string());
                let what = format!("the backend `{}` of `{route}` is at {place}", backend.name);
                let cause = Cause::Clash {
                    what,
                    other: format!("`{other}`"),
                    first: (*first).clone(),
                };
                findings.error(at, cause);
            }
        }
    }
}

/// Counts against the sizes of the tables.
pub fn refuse_too_many(plan: &Plan, at: &Place, findings: &Findings) {
    let all = |count: fn(&Route) -> usize| plan.routes.iter().map(count).sum::<usize>();
    let inner = plan.networks.iter().filter(|network| network.inner).count();
    let nat = plan.nat.as_ref();
    let guarded = inner + nat.map_or(0, |nat| nat.sources.len());
    let listed = nat.map_or(0, |nat| nat.access.allow.len() + nat.access.deny.len());
    let (routes, limits) = (plan.routes.len(), &plan.limits);
    let backends = all(|route| route.backends.len());
    let turns: u64 = plan.routes.iter().map(Route::turns).sum();
    let turns = usize::try_from(turns).unwrap_or(usize::MAX);
    let listeners = all(|route| route.listen.len() * usize::from(route.ports));
    let prefixes = listed + all(|route| route.access.allow.len() + route.access.deny.len());
    let raise = |key: &str| format!("raise `gwpool.limits.{key}`");
    let fewer_turns = "give smaller weights, or raise `gwpool.limits.backends`".to_owned();
    let on_one = "put more backends on one, and wider prefixes in `gwpool.nat.sources`".to_owned();
    let counts: [(&str, usize, u32, String); 6] = [
        ("routes", routes, limits.routes, raise("routes")),
        (
            "backends over all routes",
            backends,
            limits.backends,
            raise("backends"),
        ),
        (
            "turns in a cycle over all routes",
            turns,
            limits.turns(),
            fewer_turns,
        ),
        (
            "listen addresses, times their ports, over all routes",
            listeners,
            limits.listeners,
            raise("listeners"),
        ),
        (
            "prefixes in `allow` and `deny`",
            prefixes,
            limits.access,
            raise("access"),
        ),
        (
            "inner networks and `gwpool.nat.sources`",
            guarded,
            NETWORKS,
            on_one,
        ),
    ];
    for (what, found, most, advice) in counts {
        if found as u64 > u64::from(most) {
            let most = u64::from(most);
            findings.error(at, Cause::too_many(what, found, most, advice));
        }
    }
}
