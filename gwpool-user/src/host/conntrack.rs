//! What the kernel's own translation has under way, read from `/proc/net/nf_conntrack`, so that it can be gone on with.
//!
//! A line is what conntrack(8) prints with `-L`: protocol, seconds left, TCP's state, the packet's ends as its sender has
//! them, then those of the answer.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::Ipv4Addr;

/// The kernel's table of this network namespace.
pub const TABLE: &str = "/proc/self/net/nf_conntrack";

/// A connection that the kernel translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// IP protocol: TCP or UDP.
    pub protocol: u8,
    /// Who began it, as he is inside.
    pub inside: (Ipv4Addr, u16),
    /// What the outside sees him as.
    pub outside: (Ipv4Addr, u16),
    /// Whom he speaks with.
    pub remote: (Ipv4Addr, u16),
}

/// TCP's states in which both sides have spoken and not both have closed
/// (net/netfilter/nf_conntrack_proto_tcp.c: `tcp_conntrack_names`).
const ALIVE: [&str; 4] = ["ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK"];

/// The connections in a table whose source alone is translated, and that have been answered.
pub fn translated(table: &str) -> Vec<Connection> {
    table.lines().filter_map(connection).collect()
}

fn connection(line: &str) -> Option<Connection> {
    let mut words = line.split_whitespace();
    if words.next()? != "ipv4" || line.contains("[UNREPLIED]") {
        return None;
    }
    let protocol = match words.nth(1)? {
        "tcp" => 6,
        "udp" => 17,
        _ => return None,
    };
    if protocol == 6
        && !ALIVE
            .iter()
            .any(|state| line.contains(&format!(" {state} ")))
    {
        return None;
    }
    let mut there = HashMap::new();
    let mut back = HashMap::new();
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        if there.contains_key(name) {
            back.entry(name).or_insert(value);
        } else {
            there.insert(name, value);
        }
    }
    let end = |ends: &HashMap<&str, &str>, address: &str, port: &str| -> Option<(Ipv4Addr, u16)> {
        Some((
            ends.get(address)?.parse().ok()?,
            ends.get(port)?.parse().ok()?,
        ))
    };
    let found = Connection {
        protocol,
        inside: end(&there, "src", "sport")?,
        remote: end(&there, "dst", "dport")?,
        outside: end(&back, "dst", "dport")?,
    };
    let answers = end(&back, "src", "sport")? == found.remote;
    (answers && found.inside.0 != found.outside.0).then_some(found)
}

#[cfg(test)]
mod tests;
