//! The routes of a node that forwards: their words, and the hosts and addresses behind them.
//!
//! What two routes, or a route and a peer, do to each other is in [`conflicts`].
#![forbid(unsafe_code)]

use super::Resolving;
use crate::config::addresses;
use crate::config::conflicts;
use crate::config::inventory::Host;
use crate::config::report::{Cause, Place};
use crate::config::routes::{self, RouteWords, To};
use crate::config::schema::wrong;
use crate::config::tree::{Entry, Node, Value};
use crate::plan::{Backend, Balance, Route};
use std::net::Ipv4Addr;

/// Whom a backend's name stands for.
enum Target<'a> {
    Host(&'a Host),
    Address(Ipv4Addr),
}

impl<'a> Resolving<'a> {
    /// In the order of their names; those with `source: preserve` beside where they say so.
    pub(super) fn routes(&mut self, routes: &Node) -> Vec<(Route, Option<Place>)> {
        let routes = self.scope.shallow(routes).unwrap_or_else(|problem| {
            self.findings.problem(problem);
            Node {
                value: Value::Broken,
                ..routes.clone()
            }
        });
        if !matches!(routes.value, Value::Map(_)) {
            return wrong(&routes, "a map of routes", "", self.findings).unwrap_or_default();
        }
        let read = |entry: &Entry| {
            routes::route(
                &entry.key,
                &entry.at,
                &self.scope.deep(&entry.node),
                self.findings,
            )
        };
        let words: Vec<RouteWords> = routes.entries().iter().filter_map(read).collect();
        conflicts::refuse_overlaps(&words, self.findings);
        let resolved = words.into_iter().map(|words| {
            let preserve = words.preserve.clone();
            (self.route(words), preserve)
        });
        let mut routes: Vec<(Route, Option<Place>)> = resolved.collect();
        routes.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        routes
    }

    fn route(&mut self, words: RouteWords) -> Route {
        let (network, at) = words.destination.network.clone();
        self.add_network(&network, true, &at);
        let to = words.destination.ports;
        let own = addresses::given(&self.scope, &network, self.findings).flatten();
        let (mut placed, mut unplaced) = (Vec::new(), Vec::new());
        for (name, host, at) in self.destinations(&words.destination.to) {
            let address = match host {
                Target::Address(address) => Some(address).filter(|address| Some(*address) != own),
                Target::Host(host) if host.name == self.node.name => None,
                Target::Host(host) => match self.addresses.of(host, &network) {
                    Some(address) => Some(address),
                    None => {
                        unplaced.push(name);
                        continue;
                    }
                },
            };
            placed.push((
                Backend {
                    name,
                    address,
                    port: to.first,
                    weight: 1,
                },
                at,
            ));
        }
        conflicts::refuse_same_backends(&words.name, &placed, own, self.findings);
        let mut backends: Vec<Backend> = placed.into_iter().map(|(backend, _)| backend).collect();
        let weights = &words.weights;
        weights.give(&words.name, &mut backends, own, &unplaced, self.findings);
        if matches!(words.balance, Balance::Turns | Balance::Random) {
            weights.refuse_long_cycle(&words.name, &backends, self.findings);
        }
        Route {
            protocol: words.protocol(),
            name: words.name,
            mode: words.mode,
            listen: words.listen.into_iter().map(|(listen, _)| listen).collect(),
            port: words.ports.first,
            ports: words.ports.count,
            shifts: to.count > 1,
            balance: words.balance,
            preserve: words.preserve.is_some(),
            access: words.access,
            timeout: words.timeout,
            redispatches: words.redispatches,
            network,
            backends,
            enabled: words.enabled,
        }
    }

    fn destinations(&self, to: &To) -> Vec<(String, Target<'a>, Place)> {
        match to {
            To::Group(name, at) => {
                let members = self.members(name, at).unwrap_or_default();
                members
                    .into_iter()
                    .map(|host| (host.name.clone(), Target::Host(host), at.clone()))
                    .collect()
            }
            To::Hosts(names) => names
                .iter()
                .filter_map(|(name, at)| {
                    let host = self.inventory.host(name);
                    if host.is_none() {
                        let advice = self.findings.suggest(
                            name,
                            self.inventory.hosts.iter().map(|host| host.name.as_str()),
                        );
                        self.findings.error(
                            at,
                            Cause::Undefined {
                                what: format!("the host `{name}`"),
                                advice,
                            },
                        );
                    }
                    host.map(|host| (name.clone(), Target::Host(host), at.clone()))
                })
                .collect(),
            To::Addresses(addresses) => {
                let named = addresses.iter();
                named
                    .map(|(address, at)| {
                        (address.to_string(), Target::Address(*address), at.clone())
                    })
                    .collect()
            }
        }
    }
}
