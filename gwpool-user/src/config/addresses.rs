//! Where another host is on a network: its variable `NETWORK: {address: A}`, else `ansible_host`, else its name.
//!
//! Asked only for hosts this node forwards to or shares routes with, each once. Names are resolved by whatever the
//! caller hands in. An answer on loopback is an error that says who gave it.
#![forbid(unsafe_code)]

use super::inventory::{Host, Inventory};
use super::report::{Cause, Findings};
use super::schema::{Section, address, is_host, text};
use super::vars::Scope;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::sync::Arc;

/// Name to IPv4 addresses, or why not.
pub type Resolve<'a> = dyn Fn(&str) -> Result<Vec<Ipv4Addr>, String> + 'a;

/// The addresses asked for so far.
pub struct Addresses<'a> {
    inventory: &'a Inventory,
    resolve: &'a Resolve<'a>,
    findings: &'a Arc<Findings>,
    known: BTreeMap<(String, String), Option<Ipv4Addr>>,
}

impl<'a> Addresses<'a> {
    /// None asked for yet.
    pub fn new(
        inventory: &'a Inventory,
        resolve: &'a Resolve<'a>,
        findings: &'a Arc<Findings>,
    ) -> Addresses<'a> {
        Addresses {
            inventory,
            resolve,
            findings,
            known: BTreeMap::new(),
        }
    }

    /// The address of a host that is not this node. `None`: the findings say why.
    pub fn of(&mut self, host: &Host, network: &str) -> Option<Ipv4Addr> {
        let key = (host.name.clone(), network.to_owned());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let found = self.find(host, network);
        self.known.insert(key, found);
        found
    }

    fn find(&self, host: &Host, network: &str) -> Option<Ipv4Addr> {
        let scope = Scope::new(self.inventory, &host.name, self.findings);
        if let Some(found) = given(&scope, network, self.findings)? {
            return Some(found);
        }
        let variable = scope
            .variable("ansible_host")
            .filter(|node| !node.is_null());
        let (name, who, at) = match &variable {
            Some(node) => (
                text(node, "an address or a name", self.findings)?,
                "`ansible_host`",
                &node.at,
            ),
            None => (host.name.as_str(), "the name", &host.at),
        };
        let (found, who) = match name.parse() {
            Ok(address) => (Ok(vec![address]), who.to_owned()),
            Err(_) => (
                (self.resolve)(name),
                format!("{who} `{name}`, resolved here"),
            ),
        };
        let (host, network) = (host.name.clone(), network.to_owned());
        let cause = match found.map(|answers| answers.first().copied()) {
            Ok(Some(address)) if is_host(address) => return Some(address),
            Ok(Some(address)) => Cause::BadAddress {
                host,
                network,
                address,
                source_name: who,
            },
            Ok(None) => Cause::NoAddress {
                host,
                network,
                reason: format!("{who}: no IPv4 address"),
            },
            Err(reason) => Cause::NoAddress {
                host,
                network,
                reason: format!("{who}: {reason}"),
            },
        };
        self.findings.error(at, cause);
        None
    }
}

/// `NETWORK: {address: A}` of a host, if it has one. The outer `None`: it has, and it is wrong.
pub fn given(scope: &Arc<Scope>, network: &str, findings: &Findings) -> Option<Option<Ipv4Addr>> {
    const KEYS: [&str; 3] = ["address", "priority", "state"];
    scope.refuse_lost_keys(network);
    let Some(node) = scope.variable(network).filter(|node| !node.is_null()) else {
        return Some(None);
    };
    let section = Section::open(&node, &format!("`{network}`"), &KEYS, &[], findings)?;
    match section.get("address") {
        Some(node) => address(node, findings).map(Some),
        None => Some(None),
    }
}

/// As this machine resolves names.
pub fn resolved_here(name: &str) -> Result<Vec<Ipv4Addr>, String> {
    let answers = (name, 0)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    let v4 = answers.filter_map(|answer| match answer.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    Ok(v4.collect())
}
