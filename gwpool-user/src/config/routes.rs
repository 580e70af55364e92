//! The words of a route, key by key, with their defaults.
//!
//! Words are checked one value at a time. Whether the groups and hosts they name exist is for
//! [`resolve`](super::resolve), whether routes can live together for [`conflicts`](super::conflicts).
#![forbid(unsafe_code)]

use super::ports::{self, Ports};
use super::report::{Cause, Findings, Place};
use super::schema::{Section, address, boolean, items, list, not_served, text, word, wrong};
use super::tree::{Node, Value};
use super::weights::{self, WeightWords};
use super::{access, timeouts};
use crate::plan::{Access, Balance, ListenAddress, Protocol, Timeout};
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
    /// The ports it listens on.
    pub ports: Ports,
    /// Where it forwards to.
    pub destination: Destination,
    /// How a backend is chosen.
    pub balance: Balance,
    /// Who takes how many turns.
    pub weights: WeightWords,
    /// Where it says `source: preserve`, if it does.
    pub preserve: Option<Place>,
    /// Who may use it.
    pub access: Access,
    /// Its timers.
    pub timeout: Timeout,
    /// How many backends may fail a handshake.
    pub redispatches: u8,
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
    /// The ports there; the route's own if none are given, as in HAProxy.
    pub ports: Ports,
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
    const SERVED: [&str; 14] = [
        "mode",
        "address",
        "port",
        "destination",
        "balance",
        "weight",
        "weights",
        "options",
        "retries",
        "enabled",
        "source",
        "allow",
        "deny",
        "timeout",
    ];
    const LATER: [&str; 1] = ["check"];
    check_name(name, at, findings);
    let whose = format!("the route `{name}`");
    let section = Section::open(node, &whose, &SERVED, &LATER, findings)?;
    for key in LATER {
        if let Some(node) = section.get(key) {
            not_served::<()>(node, key, findings);
        }
    }
    let mode = mode(&section);
    let listen = section.need("address", "`\"*\"`, an address, or a list of them");
    let listen = listen.map(|node| read_listen(node, findings));
    let port = section.need("port", "the port it listens on");
    let ports = port.and_then(|node| Some((Ports::read(node, findings)?, &node.at)));
    let destination = section.need("destination", "where it forwards to");
    let destination = destination.and_then(|node| read_destination(node, ports, findings));
    let balance = section.get("balance");
    let balance = balance.map_or(Some(Balance::Turns), |node| read_balance(node, findings));
    let weights = weights::read(&section);
    let preserve = read_source(&section);
    let access = access::read(&section);
    let timeout = timeouts::timeout(&section);
    let redispatches = timeouts::redispatches(&section);
    let enabled = section.get("enabled");
    let enabled = enabled.map_or(Some(true), |node| boolean(node, findings));
    Some(RouteWords {
        name: name.to_owned(),
        mode: mode?.to_owned(),
        listen: listen?,
        ports: ports?.0,
        destination: destination?,
        balance: balance?,
        weights: weights?,
        preserve: preserve?,
        access: access?,
        timeout: timeout?,
        redispatches: redispatches?,
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

/// HAProxy's words. `static-rr` is roundrobin whose weights do not change at run time; here they may.
fn read_balance(node: &Node, findings: &Findings) -> Option<Balance> {
    const WORDS: [&str; 5] = ["roundrobin", "static-rr", "leastconn", "source", "random"];
    const REQUESTS: [&str; 5] = ["hdr", "uri", "url_param", "rdp-cookie", "hash"];
    let wanted = format!("balance: {}", WORDS.join(", "));
    let given = text(node, &wanted, findings)?.trim();
    // HAProxy's `first` fills a server up to its `maxconn`, `hdr(host)` and its kin read the request.
    let word = given.split(['(', ' ']).next().unwrap_or(given);
    let advice = match (word, given) {
        ("roundrobin" | "static-rr", _) if word == given => return Some(Balance::Turns),
        ("leastconn", "leastconn") => return Some(Balance::LeastConn),
        ("source", "source") => return Some(Balance::Source),
        ("random", "random" | "random(2)") => return Some(Balance::Random),
        ("random", _) => "two are drawn, always: `random` or `random(2)`".to_owned(),
        ("first", _) => "there is no `maxconn` that `first` could fill up".to_owned(),
        (word, _) if REQUESTS.contains(&word) => {
            format!("`{word}` reads requests, and gwpool sees connections")
        }
        (word, _) => findings.suggest(word, WORDS),
    };
    wrong(node, &wanted, &advice, findings)
}

/// The outer `None`: it is wrong.
fn read_source(section: &Section) -> Option<Option<Place>> {
    let Some(node) = section.get("source") else {
        return Some(None);
    };
    let source = word(node, "source", &["nat", "preserve"], &[], section.findings)?;
    Some((source == "preserve").then(|| node.at.clone()))
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

/// `listens`: the route's own ports; `None` if those are wrong.
fn read_destination(
    node: &Node,
    listens: Option<(Ports, &Place)>,
    findings: &Findings,
) -> Option<Destination> {
    const SERVED: [&str; 5] = ["group", "hosts", "addresses", "port", "network"];
    let section = Section::open(node, "`destination`", &SERVED, &[], findings)?;
    let mut given: Vec<&Node> = section.get("port").into_iter().collect();
    let to = read_to(&section, node, &mut given);
    let network = match section.get("network") {
        Some(node) => {
            let name = text(node, "the name of a network", findings);
            name.map(|name| (name.to_owned(), node.at.clone()))
        }
        None => Some((BOX_NETWORK.to_owned(), node.at.clone())),
    };
    let read = given.iter().map(|node| Ports::read(node, findings));
    let read: Vec<Ports> = read.collect::<Option<_>>()?;
    if let [one, other] = read[..]
        && one != other
    {
        let wanted = format!("one destination port ({one} at {})", given[0].at);
        return wrong(given[1], &wanted, "remove one", findings);
    }
    let ports = read.first().copied().zip(given.first().copied());
    Some(Destination {
        to: to?,
        ports: ports::destination(listens?, ports, findings)?,
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
