//! Groups, hosts and variables to the plan of one node.
//!
//! Only what this node needs is looked at: its own variables, what it translates ([`translating`]), and on a node that
//! forwards the routes, the hosts they go to ([`forwarding`]) and the other hosts of `proxies.target.group`. Every error
//! of this stage is found before any is told.
#![forbid(unsafe_code)]

mod forwarding;
mod translating;

use super::addresses::{self, Addresses, Resolve};
use super::conflicts;
use super::inventory::{Host, Inventory};
use super::report::{Cause, Findings, Place};
use super::sections::{self, GATEWAY_NETWORK, Gwpool};
use super::undeclared::UndeclaredWords;
use super::vars::Scope;
use super::vips::Vips;
use crate::plan::{Network, Peer, Plan, Route, Undeclared};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The packets of a host's own clients come in by no interface that is managed.
const LOCAL_CLIENTS: &str = "connections from this host itself and from its pods to a listen address are not balanced: \
                             they come in by no managed interface, so they reach the local stack";

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
    let sides = resolving.sides();
    let forwarding = resolving.proxies(sides.is_some());
    let undeclared = forwarding
        .as_ref()
        .map(|_| resolving.undeclared(&gwpool.undeclared));
    let (routes, peers, at) = match forwarding {
        Some((routes, peers, at)) => (routes, peers, Some(at)),
        None => Default::default(),
    };
    let vips = resolving.vips();
    let nat = resolving.nat(sides, &gwpool, &vips);
    let plan = Plan {
        node: node.name.clone(),
        datapath: gwpool.datapath,
        networks: resolving.networks(&gwpool, &vips),
        routes,
        peers,
        undeclared,
        limits: match &nat {
            Some(_) => gwpool.limits,
            None => gwpool.limits.without_mappings(),
        },
        nat,
    };
    conflicts::refuse_too_many(&plan, &node.at, findings);
    if let Some(at) = at {
        findings.note(&at, LOCAL_CLIENTS.to_owned());
        gwpool.undeclared.note(&plan, &at, findings);
    }
    plan
}

/// What is known of the node while its plan is made.
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

    /// The routes and peers of a node that forwards, and where it is said that it does.
    fn proxies(&mut self, translates: bool) -> Option<(Vec<Route>, Vec<Peer>, Place)> {
        let Some(entry) = self.scope.raw("proxies") else {
            if !translates {
                let advice = "give the file that defines it: `-e @FILE`";
                self.nothing_to_do("`proxies` is not defined for it", advice);
            }
            return None;
        };
        let proxies = match self.scope.shallow(&entry.node) {
            Ok(node) => sections::proxies(&node, |node| self.scope.deep(node), self.findings),
            Err(problem) => {
                self.findings.problem(problem);
                None
            }
        }?;
        let (group, at) = proxies.group;
        let members = self.members(&group, &at)?;
        if members.iter().all(|host| host.name != self.node.name) {
            if !translates {
                let why = format!("it is not in `{group}` (`proxies.target.group`)");
                self.nothing_to_do(&why, "add it, or give the right `--node`");
            }
            return None;
        }
        self.add_network(GATEWAY_NETWORK, false, &at);
        let routes = proxies.routes.map(|routes| self.routes(&routes));
        let routes = routes.unwrap_or_default();
        let peers = self.peers(&members, &routes);
        conflicts::refuse_loops(&routes, &peers, self.findings);
        let routes = routes.into_iter().map(|(route, _)| route).collect();
        Some((routes, peers, at))
    }

    /// `gwpool.undeclared` of a node that forwards. Its network is one that is served anyway.
    fn undeclared(&self, words: &UndeclaredWords) -> Undeclared {
        let (network, at) = &words.network;
        if let Some(at) = at
            && !self.networks.contains_key(network)
        {
            let what = format!("the network `{network}` among those this node serves");
            let advice = self
                .findings
                .suggest(network, self.networks.keys().map(String::as_str));
            self.findings.error(at, Cause::Undefined { what, advice });
        }
        words.planned()
    }

    fn nothing_to_do(&self, why: &str, advice: &str) {
        let cause = Cause::wanted(
            format!("something to do for `{}`", self.node.name),
            format!("nothing: {why}, and it has no `output_interface`"),
            advice,
        );
        self.findings.error(&self.node.at, cause);
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
                None => self
                    .findings
                    .suggest(name, self.inventory.groups.keys().map(String::as_str)),
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
    fn peers(&mut self, members: &[&Host], routes: &[(Route, Option<Place>)]) -> Vec<Peer> {
        let networks = routes.iter().map(|(route, _)| route.network.as_str());
        let mut networks: Vec<&str> = networks.collect();
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

    fn networks(&self, gwpool: &Gwpool, vips: &Vips) -> Vec<Network> {
        for (name, (_, at)) in &gwpool.interfaces {
            if !self.networks.contains_key(name) {
                let near = self
                    .findings
                    .suggest(name, self.networks.keys().map(String::as_str));
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
                vips: vips
                    .get(name)
                    .map_or_else(Vec::new, |(vips, _)| vips.clone()),
            }
        };
        self.networks.iter().map(network).collect()
    }
}
