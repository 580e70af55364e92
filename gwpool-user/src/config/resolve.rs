//! Groups, hosts and variables to the plan of one node.
//!
//! Only what this node needs is looked at: its own variables, and on a node that forwards the routes, the hosts they
//! go to and the other hosts of `proxies.target.group`. Every error of this stage is found before any is told.
#![forbid(unsafe_code)]

use super::addresses::{self, Addresses, Resolve};
use super::conflicts;
use super::inventory::{Host, Inventory};
use super::report::{Cause, Findings, Place, suggest};
use super::routes::{self, RouteWords, To};
use super::schema::{text, wrong};
use super::sections::{self, GATEWAY_NETWORK, Gwpool};
use super::tree::{Entry, Node, Value};
use super::vars::Scope;
use crate::plan::{Access, Backend, Balance, Network, Peer, Plan, Route, Timeout};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The networks of a node: whether hosts to be guarded are behind it, and where it is named first.
type Networks = BTreeMap<String, (bool, Place)>;

/// The plan of a node. Valid only if the findings hold no error afterwards.
pub fn plan(
    inventory: &Inventory,
    node: &Host,
    resolve: &Resolve,
    findings: &Arc<Findings>,
) -> Plan {
    let scope = Scope::new(inventory, &node.name, findings);
    let mut resolving = Resolving {
        inventory,
        node,
        addresses: Addresses::new(inventory, resolve, findings),
        findings,
        networks: Networks::new(),
        scope,
    };
    let gwpool = resolving.gwpool();
    let translates = resolving.translated_networks();
    let (routes, peers) = resolving.proxies(translates);
    let plan = Plan {
        node: node.name.clone(),
        datapath: gwpool.datapath,
        networks: resolving.networks(&gwpool),
        routes,
        peers,
        undeclared: None,
        limits: gwpool.limits,
    };
    conflicts::refuse_too_many(&plan, &node.at, findings);
    plan
}

struct Resolving<'a> {
    inventory: &'a Inventory,
    node: &'a Host,
    scope: Arc<Scope>,
    addresses: Addresses<'a>,
    findings: &'a Arc<Findings>,
    networks: Networks,
}

impl<'a> Resolving<'a> {
    fn gwpool(&self) -> Gwpool {
        self.scope.refuse_lost_keys("gwpool");
        let node = self.scope.variable("gwpool").filter(|node| !node.is_null());
        node.and_then(|node| sections::gwpool(&node, self.findings))
            .unwrap_or_default()
    }

    /// The networks of a node that translates: `output_interface` and `input_interface`, both or neither.
    fn translated_networks(&mut self) -> bool {
        let sides = [("output_interface", false), ("input_interface", true)];
        let found = sides.map(|(key, inner)| {
            (
                self.scope.variable(key).filter(|node| !node.is_null()),
                inner,
            )
        });
        for (node, inner) in &found {
            if let Some(node) = node
                && let Some(name) = text(node, "the name of a network", self.findings)
            {
                self.add_network(name, *inner, &node.at);
            }
        }
        let place = match &found {
            [(Some(output), _), (Some(_), _)] => output.at.clone(),
            [(None, _), (None, _)] => return false,
            [(Some(lone), _), _] | [_, (Some(lone), _)] => {
                let wanted = "`output_interface` and `input_interface` together";
                return wrong::<bool>(lone, wanted, "add the other", self.findings).unwrap_or(true);
            }
        };
        let text = "NAT (`output_interface`, `input_interface`) and VRRP (`vips`) are not served by this version: this \
                    node's packets are left to the host";
        self.findings.note(&place, text.to_owned());
        true
    }

    /// The routes and peers of a node that forwards.
    fn proxies(&mut self, translates: bool) -> (Vec<Route>, Vec<Peer>) {
        let Some(entry) = self.scope.raw("proxies") else {
            if !translates {
                let advice = "give the file that defines it: `-e @FILE`";
                self.nothing_to_do("`proxies` is not defined for it", advice);
            }
            return Default::default();
        };
        let proxies = match self.scope.shallow(&entry.node) {
            Ok(node) => sections::proxies(&node, |node| self.scope.deep(node), self.findings),
            Err(problem) => {
                self.findings.problem(problem);
                None
            }
        };
        let Some(proxies) = proxies else {
            return Default::default();
        };
        let Some(members) = self.members(&proxies.group.0, &proxies.group.1) else {
            return Default::default();
        };
        if members.iter().all(|host| host.name != self.node.name) {
            if !translates {
                let why = format!(
                    "it is not in `{}` (`proxies.target.group`)",
                    proxies.group.0
                );
                self.nothing_to_do(&why, "add it, or give the right `--node`");
            }
            return Default::default();
        }
        self.add_network(GATEWAY_NETWORK, false, &proxies.group.1);
        let routes = proxies
            .routes
            .map(|routes| self.routes(&routes))
            .unwrap_or_default();
        let peers = self.peers(&members, &routes);
        (routes, peers)
    }

    fn nothing_to_do(&self, why: &str, advice: &str) {
        let cause = Cause::wanted(
            format!("something to do for `{}`", self.node.name),
            format!("nothing: {why}, and it has no `output_interface`"),
            advice,
        );
        self.findings.error(&self.node.at, cause);
    }

    fn routes(&mut self, routes: &Node) -> Vec<Route> {
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
        let mut routes: Vec<Route> = words.into_iter().map(|words| self.route(words)).collect();
        routes.sort_by(|one, other| one.name.cmp(&other.name));
        routes
    }

    fn route(&mut self, words: RouteWords) -> Route {
        let (network, at) = words.destination.network.clone();
        self.add_network(&network, true, &at);
        let port = words.destination.port.unwrap_or(words.port);
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
                    port,
                    weight: 1,
                },
                at,
            ));
        }
        conflicts::refuse_same_backends(&words.name, &placed, own, self.findings);
        let mut backends: Vec<Backend> = placed.into_iter().map(|(backend, _)| backend).collect();
        let weights = &words.weights;
        weights.give(&words.name, &mut backends, own, &unplaced, self.findings);
        Route {
            protocol: words.protocol(),
            name: words.name,
            mode: words.mode,
            listen: words.listen.into_iter().map(|(listen, _)| listen).collect(),
            port: words.port,
            network,
            backends,
            enabled: words.enabled,
            ports: 1,
            shifts: false,
            balance: Balance::Turns,
            preserve: false,
            access: Access::default(),
            timeout: Timeout::default(),
            redispatches: gwpool_common::limits::REDISPATCHES,
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
                        let advice = suggest(
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

    /// The hosts of a group, or an error if there is no such group or nobody in it.
    fn members(&self, name: &str, at: &Place) -> Option<Vec<&'a Host>> {
        let members = self.inventory.members(name);
        let advice = match &members {
            Some(members) if !members.is_empty() => return Some(members.clone()),
            Some(_) => "the group is empty".to_owned(),
            None => match self.scope.raw(name) {
                Some(entry) => format!(
                    "`{name}` at {} holds no `hosts`: it is a variable",
                    entry.at
                ),
                None => suggest(name, self.inventory.groups.keys().map(String::as_str)),
            },
        };
        let what = format!(
            "{} `{name}`",
            if members.is_some() {
                "a host in the group"
            } else {
                "the group"
            }
        );
        self.findings.error(at, Cause::Undefined { what, advice });
        None
    }

    /// The other forwarding hosts, on every network routes go to.
    fn peers(&mut self, members: &[&Host], routes: &[Route]) -> Vec<Peer> {
        let mut networks: Vec<&str> = routes.iter().map(|route| route.network.as_str()).collect();
        networks.sort_unstable();
        networks.dedup();
        let mut peers = Vec::new();
        for network in networks {
            for host in members.iter().filter(|host| host.name != self.node.name) {
                if let Some(address) = self.addresses.of(host, network) {
                    peers.push(Peer {
                        name: host.name.clone(),
                        network: network.to_owned(),
                        address,
                    });
                }
            }
        }
        peers
    }

    fn add_network(&mut self, name: &str, inner: bool, at: &Place) {
        let network = self
            .networks
            .entry(name.to_owned())
            .or_insert((false, at.clone()));
        network.0 |= inner;
    }

    fn networks(&self, gwpool: &Gwpool) -> Vec<Network> {
        for (name, (_, at)) in &gwpool.interfaces {
            if !self.networks.contains_key(name) {
                let near = suggest(name, self.networks.keys().map(String::as_str));
                let text = format!(
                    "`gwpool.interfaces` maps `{name}`, which this node does not use; {near}"
                );
                self.findings.note(at, text);
            }
        }
        let network = |(name, (inner, at)): (&String, &(bool, Place))| {
            let (interface, at) = gwpool
                .interfaces
                .get(name)
                .map_or((name, at), |(mapped, at)| (mapped, at));
            Network {
                name: name.clone(),
                interface: sections::interface_name(interface, at, self.findings).to_owned(),
                inner: *inner,
                address: addresses::given(&self.scope, name, self.findings).flatten(),
            }
        };
        self.networks.iter().map(network).collect()
    }
}

enum Target<'a> {
    Host(&'a Host),
    Address(std::net::Ipv4Addr),
}
