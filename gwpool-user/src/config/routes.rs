//! The words of a route, key by key, with their defaults.
//!
//! Words are checked one value at a time. Whether the groups and hosts they name exist is for
//! [`resolve`](super::resolve), whether routes can live together for [`conflicts`](super::conflicts).
#![forbid(unsafe_code)]

use super::report::{Cause, Findings, Place};
use super::schema::{Section, address, boolean, items, list, not_served, port, text, word, wrong};
use super::tree::{Node, Value};
use super::weights::{self, WeightWords};
use crate::plan::{ListenAddress, Protocol};
use gwpool_common::route::ROUTE_NAME_BYTES;
use std::net::Ipv4Addr;

/// The network backends are on when a route names none.
pub const BOX_NETWORK: &str = "box-network";

/// A route as written.
#[derive(Debug)]
pub struct RouteWords {
    /// Its key.
    pub name: String,
    /// As written.
    pub mode: String,
    /// Where it listens, each with its place.
    pub listen: Vec<(ListenAddress, Place)>,
    /// The port it listens on.
    pub port: u16,
    /// Where it forwards to.
    pub destination: Destination,
    /// Who takes how many turns.
    pub weights: WeightWords,
    /// Whether it is on.
    pub enabled: bool,
}

impl RouteWords {
    /// What the mode is on the wire.
    pub fn protocol(&self) -> Protocol {
        if self.mode == "udp" {
            Protocol::Udp
        } else {
            Protocol::Tcp
        }
    }
}

/// `destination`.
#[derive(Debug)]
pub struct Destination {
    /// Whom.
    pub to: To,
    /// The port there; the route's own if none is given, as in HAProxy.
    pub port: Option<u16>,
    /// By which network.
    pub network: (String, Place),
}

/// Whom a route forwards to.
#[derive(Debug)]
pub enum To {
    /// The hosts of a group.
    Group(String, Place),
    /// Hosts by name.
    Hosts(Vec<(String, Place)>),
    /// Anything by address.
    Addresses(Vec<(Ipv4Addr, Place)>),
}

/// Reads one route.
pub fn route(name: &str, at: &Place, node: &Node, findings: &Findings) -> Option<RouteWords> {
    const SERVED: [&str; 10] = [
        "mode",
        "address",
        "port",
        "destination",
        "balance",
        "weight",
        "weights",
        "options",
        "enabled",
        "source",
    ];
    const LATER: [&str; 4] = ["check", "allow", "deny", "timeout"];
    check_name(name, at, findings);
    let whose = format!("the route `{name}`");
    let section = Section::open(node, &whose, &SERVED, &LATER, findings)?;
    for key in LATER {
        if let Some(node) = section.get(key) {
            not_served::<()>(node, key, findings);
        }
    }
    fixed_words(&section);
    let mode = mode(&section);
    let listen = section.need("address", "`\"*\"`, an address, or a list of them");
    let listen = listen.map(|node| read_listen(node, findings));
    let port_read = section.need("port", "the port it listens on");
    let port_read = port_read.and_then(|node| port(node, findings));
    let destination = section.need("destination", "where it forwards to");
    let destination = destination.and_then(|node| read_destination(node, findings));
    let weights = weights::read(&section);
    let enabled = section.get("enabled");
    let enabled = enabled.map_or(Some(true), |node| boolean(node, findings));
    Some(RouteWords {
        name: name.to_owned(),
        mode: mode?.to_owned(),
        listen: listen?,
        port: port_read?,
        destination: destination?,
        weights: weights?,
        enabled: enabled?,
    })
}

fn check_name(name: &str, at: &Place, findings: &Findings) {
    // The map holds a zero after it; the command line writes ROUTE/BACKEND and globs.
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || "/*?".contains(c);
    if name.is_empty() || name.len() >= ROUTE_NAME_BYTES || name.contains(is_odd) {
        let wanted = format!(
            "a route name of 1 to {} bytes without `/`, `*`, `?` or spaces",
            ROUTE_NAME_BYTES - 1
        );
        findings.error(at, Cause::wanted(wanted, format!("`{name}`"), "rename it"));
    }
}

/// Keys of which one word is served, or none is honoured.
fn fixed_words(section: &Section) {
    // They differ in whether weights may change at run time, which nothing does yet.
    const BALANCE: [&str; 2] = ["roundrobin", "static-rr"];
    const BALANCE_LATER: [&str; 3] = ["leastconn", "source", "random"];
    let findings = section.findings;
    if let Some(node) = section.get("balance") {
        word(node, "balance", &BALANCE, &BALANCE_LATER, findings);
    }
    if let Some(node) = section.get("source") {
        word(node, "source", &["nat"], &["preserve"], findings);
    }
    for option in section.get("options").map(items).unwrap_or_default() {
        if let Some(word) = text(option, "the name of an HAProxy option", section.findings) {
            let said = format!(
                "`options: {word}` is read, but not honoured: gwpool sees connections, not requests"
            );
            section.findings.note(&option.at, said);
        }
    }
}

/// HAProxy's default is `tcp`.
fn mode<'a>(section: &Section<'a>) -> Option<&'a str> {
    let Some(node) = section.get("mode") else {
        return Some("tcp");
    };
    let mode = word(node, "mode", &["http", "tcp", "udp"], &[], section.findings);
    if mode == Some("http") {
        let text = "`mode: http` is forwarded per connection, not per request: nothing above TCP is looked at";
        section.findings.note(&node.at, text.to_owned());
    }
    mode
}

fn read_listen(node: &Node, findings: &Findings) -> Vec<(ListenAddress, Place)> {
    let one = |item: &Node| {
        let listen = match &item.value {
            Value::Text(text) if text == "*" => Some(ListenAddress::Any),
            _ => address(item, findings).map(ListenAddress::One),
        };
        listen.map(|listen| (listen, item.at.clone()))
    };
    if items(node).is_empty() {
        wrong::<()>(
            node,
            "at least one address",
            "`\"*\"` is all of them",
            findings,
        );
    }
    items(node).iter().filter_map(one).collect()
}

fn read_destination(node: &Node, findings: &Findings) -> Option<Destination> {
    const SERVED: [&str; 5] = ["group", "hosts", "addresses", "port", "network"];
    let section = Section::open(node, "`destination`", &SERVED, &[], findings)?;
    let mut ports: Vec<&Node> = section.get("port").into_iter().collect();
    let to = read_to(&section, node, &mut ports);
    let network = match section.get("network") {
        Some(node) => {
            let name = text(node, "the name of a network", findings);
            name.map(|name| (name.to_owned(), node.at.clone()))
        }
        None => Some((BOX_NETWORK.to_owned(), node.at.clone())),
    };
    let read = ports.iter().map(|node| port(node, findings));
    let read: Vec<u16> = read.collect::<Option<_>>()?;
    if let [one, other] = read[..]
        && one != other
    {
        let wanted = format!("one destination port ({one} at {})", ports[0].at);
        return wrong(ports[1], &wanted, "remove one", findings);
    }
    Some(Destination {
        to: to?,
        port: read.first().copied(),
        network: network?,
    })
}

/// Exactly one of three. `destination.group.port` is a second way to say `destination.port`.
fn read_to<'a>(section: &Section<'a>, node: &Node, ports: &mut Vec<&'a Node>) -> Option<To> {
    const NAME: &str = "the name of a group";
    let findings = section.findings;
    let keys = ["group", "hosts", "addresses"];
    match keys.map(|key| section.get(key)) {
        [Some(group), None, None] => {
            let whose = "`destination.group`";
            let group = Section::open(group, whose, &["name", "port"], &[], findings)?;
            ports.extend(group.get("port"));
            let name = group.need("name", NAME)?;
            let group = text(name, NAME, findings)?;
            Some(To::Group(group.to_owned(), name.at.clone()))
        }
        [None, Some(hosts), None] => {
            let hosts = list(hosts, "a list of hosts", findings)?.iter();
            let named = |host: &Node| {
                let name = text(host, "the name of a host", findings)?;
                Some((name.to_owned(), host.at.clone()))
            };
            Some(To::Hosts(hosts.filter_map(named).collect()))
        }
        [None, None, Some(addresses)] => {
            let addresses = list(addresses, "a list of addresses", findings)?.iter();
            let read = |node: &Node| Some((address(node, findings)?, node.at.clone()));
            Some(To::Addresses(addresses.filter_map(read).collect()))
        }
        given => {
            let given = keys
                .into_iter()
                .zip(given)
                .filter(|(_, node)| node.is_some());
            let found: Vec<&str> = given.map(|(key, _)| key).collect();
            let found = if found.is_empty() {
                "none".to_owned()
            } else {
                found.join(" and ")
            };
            let wanted = format!("one of {}", keys.join(", "));
            findings.error(&node.at, Cause::wanted(wanted, found, ""));
            None
        }
    }
}
