//! The shape of `stats --json`: fields are added freely, none is renamed.
//!
//! Built from what was read elsewhere (image, counters, census); nothing is read here.

use super::fill::{self, Fill};
use crate::datapath::census::Census;
use crate::datapath::flows::Filled;
use crate::datapath::mode::Mode;
use crate::fragments::machine::Counts as Fragments;
use crate::plan::{Balance, ListenAddress, Plan};
use gwpool_common::net::V4;
use gwpool_common::reason::Reason;
use gwpool_common::route::{Backend as MapBackend, Counters, Route as MapRoute};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The host's name in the inventory.
    pub node: String,
    /// Of the daemon.
    pub version: String,
    /// Of the daemon.
    pub uptime_seconds: u64,
    /// The programs.
    pub datapath: Datapath,
    /// In the order of their names.
    pub routes: Vec<Route>,
    /// Empty on a node that translates nothing.
    pub nat: Nat,
    /// Empty on a node without virtual addresses.
    pub vrrp: Vec<serde_json::Value>,
    /// Packets by how they ended, zeros included.
    pub reasons: BTreeMap<String, u64>,
}

/// Where the programs stand, and how full the flow table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datapath {
    /// In the order of their names.
    pub interfaces: Vec<Interface>,
    /// In flows, not in entries.
    pub flows: Flows,
    /// Fragments that came before their first one.
    #[serde(default)]
    pub fragments: Fragments,
    /// Packets that the gateway has made by itself.
    #[serde(default)]
    pub answers: Answers,
    /// Everything that holds only so much, by its name in `gwpool.limits` where it has one.
    #[serde(default)]
    pub limits: BTreeMap<String, Fill>,
}

/// Resets and ICMP errors of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Sent.
    pub sent_total: u64,
    /// Not sent: over `gwpool.limits.answers_per_second`.
    pub withheld_total: u64,
}

/// A managed interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `native`, `generic` or `tc`.
    pub mode: String,
}

/// Flows in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// Proved ones.
    pub established: u64,
    /// The others.
    pub embryonic: u64,
    /// Proved ones there is room for.
    pub capacity: u64,
}

/// A route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// `*:PORT` or `ADDRESS:PORT`.
    pub listen: Vec<String>,
    /// By HAProxy's names: `roundrobin`, `leastconn`, `source` or `random`.
    #[serde(default = "roundrobin")]
    pub balance: String,
    /// Whether new connections are forwarded.
    pub enabled: bool,
    /// Given to its backends, those that the plan no longer has included.
    pub connections_total: u64,
    /// In the order they take turns.
    pub backends: Vec<Backend>,
}

/// A backend of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The host's name, or the address as written.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its share of new connections beside the others', by the inventory or by hand; 0: none.
    #[serde(default = "one")]
    pub weight: u16,
    /// `up`, `down`, `drain` or `maint`.
    pub state: String,
    /// Given to it.
    pub connections_total: u64,
    /// Handshakes that went on to another backend because it refused or was silent.
    #[serde(default)]
    pub redispatches_total: u64,
    /// Established and not over.
    pub flows_active: u64,
    /// What went to it.
    pub to_backend: Volume,
    /// What came back.
    pub to_client: Volume,
}

/// Packets and IP bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// IP bytes.
    pub bytes: u64,
}

/// Translation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat {
    /// Prefixes that are translated.
    pub sources: Vec<String>,
    /// What they are translated to.
    pub addresses: Vec<String>,
    /// Whether this host holds those addresses now.
    #[serde(default)]
    pub active: bool,
    /// Mappings in use.
    pub mappings: Mappings,
    /// Connections that were given a port which another host has, too: only with `nat.overload`.
    #[serde(default)]
    pub overloaded_total: u64,
    /// Translated connections, queries included.
    #[serde(default)]
    pub connections_total: u64,
    /// Established and not over.
    #[serde(default)]
    pub flows_active: u64,
    /// What has left, translated.
    #[serde(default)]
    pub to_outside: Volume,
    /// What has come back.
    #[serde(default)]
    pub to_inside: Volume,
    /// New mappings refused: no port was free, or their host has all that one may.
    pub allocation_failures_total: u64,
    /// Packets that would have left untranslated.
    pub leaks_prevented_total: u64,
    /// Mappings that the log was not told of in time: it has found them later.
    #[serde(default)]
    pub unlogged_total: u64,
}

/// Mappings by protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mappings {
    /// TCP.
    pub tcp: u64,
    /// UDP.
    pub udp: u64,
    /// ICMP queries.
    pub icmp: u64,
    /// Everything else: flows, as they have no ports.
    pub other: u64,
}

/// What a snapshot is made of.
pub struct Sources<'a> {
    /// The plan that runs.
    pub plan: &'a Plan,
    /// Its image in the maps.
    pub image: &'a crate::plan::Image,
    /// Since the daemon started.
    pub uptime_seconds: u64,
    /// Interface names and modes.
    pub modes: &'a BTreeMap<String, Mode>,
    /// By backend id.
    pub counters: &'a BTreeMap<u32, Counters>,
    /// All reasons.
    pub reasons: &'a [(Reason, u64)],
    /// Of the holder of early fragments.
    pub fragments: Fragments,
    /// Flows.
    pub census: &'a Census,
    /// What the programs have answered by themselves.
    pub answers: gwpool_common::answers::Answers,
    /// What else the programs have filled.
    pub filled: Filled,
}

impl Snapshot {
    /// Puts it together.
    pub fn of(sources: &Sources<'_>) -> Self {
        let interface = |(name, mode): (&String, &Mode)| Interface {
            name: name.clone(),
            mode: mode.name().to_owned(),
        };
        Snapshot {
            node: sources.plan.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: sources.uptime_seconds,
            datapath: Datapath {
                interfaces: sources.modes.iter().map(interface).collect(),
                flows: Flows {
                    established: sources.census.established(),
                    embryonic: sources.census.embryonic.flows,
                    capacity: u64::from(sources.plan.limits.flows),
                },
                fragments: sources.fragments,
                answers: Answers {
                    sent_total: sources.answers.sent,
                    withheld_total: sources.answers.withheld,
                },
                limits: fill::limits(sources),
            },
            routes: sources
                .plan
                .routes
                .iter()
                .map(|route| Route::of(sources, route))
                .collect(),
            nat: Nat::of(sources),
            vrrp: Vec::new(),
            reasons: sources
                .reasons
                .iter()
                .map(|(reason, packets)| (reason.name().to_owned(), *packets))
                .collect(),
        }
    }
}

impl Route {
    fn of(sources: &Sources<'_>, route: &crate::plan::Route) -> Self {
        let image = sources.image;
        let id = image.route_id(&route.name);
        let installed = id.and_then(|id| image.routes.get(&id));
        let pool = id.and_then(|id| image.pools.get(&id));
        let connections = |backend: &u32| {
            sources
                .counters
                .get(backend)
                .map_or(0, |counters| counters.connections)
        };
        let of_route = image
            .backends
            .iter()
            .filter(|(_, backend)| Some(backend.route) == id);
        Route {
            name: route.name.clone(),
            protocol: route.protocol.name().to_owned(),
            listen: route
                .listen
                .iter()
                .map(|address| listen(*address, route.port))
                .collect(),
            balance: route.balance.name().to_owned(),
            enabled: installed.is_some_and(|installed| installed.flags & MapRoute::ENABLED != 0),
            connections_total: of_route.map(|(backend, _)| connections(backend)).sum(),
            backends: route
                .backends
                .iter()
                .zip(pool.into_iter().flatten())
                .map(|(backend, id)| Backend::of(sources, backend, *id))
                .collect(),
        }
    }
}

impl Backend {
    fn of(sources: &Sources<'_>, backend: &crate::plan::Backend, id: u32) -> Self {
        let counters = sources.counters.get(&id).copied().unwrap_or_default();
        let installed = sources.image.backends.get(&id).copied().unwrap_or_default();
        Backend {
            name: backend.name.clone(),
            address: Ipv4Addr::from(installed.address).to_string(),
            port: backend.port,
            weight: installed.weight,
            state: state(&installed).to_owned(),
            connections_total: counters.connections,
            redispatches_total: counters.redispatches,
            flows_active: sources.census.active(id),
            to_backend: Volume {
                packets: counters.to_backend_packets,
                bytes: counters.to_backend_bytes,
            },
            to_client: Volume {
                packets: counters.to_client_packets,
                bytes: counters.to_client_bytes,
            },
        }
    }
}

/// Whether it takes turns, or who took it out.
fn state(installed: &MapBackend<V4>) -> &'static str {
    match installed.flags {
        flags if flags & MapBackend::<V4>::MAINT != 0 => "maint",
        flags if flags & MapBackend::<V4>::DRAIN != 0 => "drain",
        _ => "up",
    }
}

/// The balance where a daemon before the others says none.
fn roundrobin() -> String {
    Balance::Turns.name().to_owned()
}

/// The weight where a daemon before weights says none.
fn one() -> u16 {
    1
}

fn listen(address: ListenAddress, port: u16) -> String {
    match address {
        ListenAddress::Any => format!("*:{port}"),
        ListenAddress::One(address) => format!("{address}:{port}"),
    }
}

#[cfg(test)]
pub(super) mod tests;
