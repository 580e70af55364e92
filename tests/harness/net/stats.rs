//! `gwpool-user stats --json`, as far as tests read it: a reader of its own, so that a renamed field is noticed.
//! Fields that are not here may come and go.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What one daemon reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Stats {
    /// The host's name in the inventory.
    pub node: String,
    /// Where the programs are.
    pub datapath: Datapath,
    /// In the order of their names.
    pub routes: Vec<Route>,
    /// Whom it translates, as whom, and what has come of it.
    pub nat: Nat,
    /// Packets by the way they ended.
    pub reasons: BTreeMap<String, u64>,
}

/// Where the programs are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Datapath {
    /// Every managed interface.
    pub interfaces: Vec<Interface>,
    /// How full the flow tables are.
    pub flows: Flows,
    /// Fragments that came before their first one.
    pub fragments: Fragments,
}

/// What became of the fragments that came before their first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Fragments {
    /// Taken from the programs.
    pub held_total: u64,
    /// Sent in again.
    pub reinjected_total: u64,
    /// Given up, late.
    pub expired_total: u64,
    /// Given up, too many.
    pub overflow_total: u64,
}

/// How full the flow tables are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Flows {
    /// Flows that were proved.
    pub established: u64,
    /// Flows that were not.
    pub embryonic: u64,
}

/// A managed interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `native`, `generic` or `tc`.
    pub mode: String,
}

/// Translation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Nat {
    /// The NAT addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Whether the host holds them.
    pub active: bool,
    /// By protocol: `tcp`, `udp`, `icmp`, `other`.
    pub mappings: BTreeMap<String, u64>,
    /// Translated connections, queries included.
    pub connections_total: u64,
    /// Packets that would have left untranslated.
    pub leaks_prevented_total: u64,
}

/// A route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// ADDRESS:PORT, each.
    pub listen: Vec<String>,
    /// Connections given to its backends.
    pub connections_total: u64,
    /// In the order of their turns.
    pub backends: Vec<Backend>,
}

/// A backend of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Backend {
    /// Its host's name.
    pub name: String,
    /// Its share of new connections beside the others'.
    pub weight: u16,
    /// `up`, `down`, `drain` or `maint`.
    pub state: String,
    /// Connections given to it.
    pub connections_total: u64,
    /// Connections that neither side has reset nor both have closed.
    pub flows_active: u64,
}

impl Stats {
    /// The route of that name.
    pub fn route(&self, name: &str) -> Result<&Route> {
        self.routes
            .iter()
            .find(|route| route.name == name)
            .with_context(|| format!("no route {name} in stats"))
    }

    /// What was counted under a reason; a reason that is not listed was not counted.
    pub fn reason(&self, name: &str) -> u64 {
        self.reasons.get(name).copied().unwrap_or(0)
    }
}

impl Route {
    /// The port it listens on.
    pub fn port(&self) -> Result<u16> {
        let listen = self
            .listen
            .first()
            .with_context(|| format!("route {} listens nowhere", self.name))?;
        let digits = listen
            .split(['/', ' '])
            .next()
            .unwrap_or(listen)
            .rsplit(':')
            .next()
            .unwrap_or(listen);
        digits.parse().with_context(|| {
            format!(
                "route {} listens on {listen:?}, where is its port",
                self.name
            )
        })
    }

    /// Connections by backend.
    pub fn shares(&self) -> BTreeMap<String, u64> {
        self.backends
            .iter()
            .map(|backend| (backend.name.clone(), backend.connections_total))
            .collect()
    }
}
