//! What no single value shows: routes that take each other's packets, backends that are one, more than tables hold.
//!
//! Pure comparisons of what has been resolved; each error names both sides.
#![forbid(unsafe_code)]

use super::report::{Cause, Findings, Place};
use super::routes::RouteWords;
use crate::plan::{Backend, ListenAddress, Plan, turns};
use gwpool_common::limits::{LISTENERS, NETWORKS};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The same address, or `*` twice, with one port and protocol. `*` beside an address is no overlap: the address wins.
pub fn refuse_overlaps(routes: &[RouteWords], findings: &Findings) {
    let mut taken: BTreeMap<_, (&str, &Place)> = BTreeMap::new();
    for route in routes {
        for (listen, at) in &route.listen {
            let address = match listen {
                ListenAddress::Any => "*".to_owned(),
                ListenAddress::One(address) => address.to_string(),
            };
            let (name, key) = (route.name.as_str(), (*listen, route.port, route.protocol()));
            if let Some((other, first)) = taken.get(&key) {
                let what = format!(
                    "the route `{name}` listens on {address}:{}/{}",
                    route.port,
                    route.protocol().name()
                );
                let cause = Cause::Clash {
                    what,
                    other: format!("`{other}`"),
                    first: (*first).clone(),
                };
                findings.error(at, cause);
            } else {
                taken.insert(key, (name, at));
            }
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
    let backends = plan.routes.iter().map(|route| route.backends.len()).sum();
    let listeners = plan.routes.iter().map(|route| route.listen.len()).sum();
    let inner = plan.networks.iter().filter(|network| network.inner).count();
    let cycles = plan
        .routes
        .iter()
        .map(|route| turns::length(&route.weights()));
    let turns = usize::try_from(cycles.sum::<u64>()).unwrap_or(usize::MAX);
    let counts: [(&str, usize, u32, &str); 5] = [
        (
            "routes",
            plan.routes.len(),
            plan.limits.routes,
            "raise `gwpool.limits.routes`",
        ),
        (
            "backends over all routes",
            backends,
            plan.limits.backends,
            "raise `gwpool.limits.backends`",
        ),
        (
            "turns in a cycle over all routes",
            turns,
            plan.limits.turns(),
            "give smaller weights, or raise `gwpool.limits.backends`",
        ),
        (
            "listen addresses over all routes",
            listeners,
            LISTENERS,
            "use `\"*\"`",
        ),
        (
            "destination networks",
            inner,
            NETWORKS,
            "put more backends on one",
        ),
    ];
    for (what, found, most, advice) in counts {
        if found as u64 > u64::from(most) {
            let most = u64::from(most);
            findings.error(at, Cause::too_many(what, found, most, advice));
        }
    }
}
