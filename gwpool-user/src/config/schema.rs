//! Reading rendered values with their kinds and ranges: what every section of the configuration is read by.
//!
//! Each reader returns `None` after it has said what was wanted, found, where, and what to do. A value that is broken
//! already has been reported and stays silent. Which keys there are is in [`sections`](super::sections).
#![forbid(unsafe_code)]

use super::report::{Cause, Findings};
use super::tree::{Entry, Node, Value};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// A map all of whose keys are known.
pub struct Section<'a> {
    node: &'a Node,
    /// Where errors go.
    pub findings: &'a Findings,
}

impl<'a> Section<'a> {
    /// Opens a map. `served` and `later` are its known keys; a key of neither is an error.
    pub fn open(
        node: &'a Node,
        whose: &str,
        served: &[&str],
        later: &[&str],
        findings: &'a Findings,
    ) -> Option<Section<'a>> {
        if !matches!(node.value, Value::Map(_)) {
            let keys: Vec<String> = served.iter().map(|key| format!("`{key}`")).collect();
            return wrong(
                node,
                &format!("{whose}, a map of {}", keys.join(", ")),
                "",
                findings,
            );
        }
        for entry in node.entries() {
            let key = entry.key.as_str();
            if !served.contains(&key) && !later.contains(&key) {
                let advice = findings.suggest(key, served.iter().chain(later).copied());
                let (key, whose) = (key.to_owned(), whose.to_owned());
                findings.error(&entry.at, Cause::UnknownKey { key, whose, advice });
            }
        }
        Some(Section { node, findings })
    }

    /// A key's value, unless it is missing or empty.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// A key, also with nothing behind it.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.node.entry(key)
    }

    /// A key's value, or an error that it is missing.
    pub fn need(&self, key: &str, wanted: &str) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let at = self
                .node
                .entry(key)
                .map_or(&self.node.at, |entry| &entry.at);
            self.findings.error(
                at,
                Cause::wanted(format!("`{key}`, {wanted}"), "nothing", "add it"),
            );
        }
        found
    }
}

/// Says that a value is not what it should be. Always `None`.
pub fn wrong<T>(node: &Node, wanted: &str, advice: &str, findings: &Findings) -> Option<T> {
    let advice = match &node.value {
        Value::Broken => return None,
        Value::Sealed(tag) if tag == "!vault" => "gwpool has no vault key: give it in clear",
        _ => advice,
    };
    findings.error(&node.at, Cause::wanted(wanted, node.describe(), advice));
    None
}

/// A word of ours, for later.
pub fn not_served<T>(node: &Node, what: &str, findings: &Findings) -> Option<T> {
    findings.error(
        &node.at,
        Cause::NotServed {
            what: what.to_owned(),
        },
    );
    None
}

/// Text that is not empty.
pub fn text<'a>(node: &'a Node, wanted: &str, findings: &Findings) -> Option<&'a str> {
    match &node.value {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => wrong(node, wanted, "", findings),
    }
}

/// A whole number, also as text: a template inside other text renders to text.
pub fn number(
    node: &Node,
    wanted: &str,
    range: RangeInclusive<i64>,
    findings: &Findings,
) -> Option<i64> {
    let number = match &node.value {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number.filter(|number| range.contains(number)) {
        None => wrong(
            node,
            &format!("{wanted} from {} to {}", range.start(), range.end()),
            "",
            findings,
        ),
        number => number,
    }
}

/// Yes or no.
pub fn boolean(node: &Node, findings: &Findings) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) if matches!(text.as_str(), "true" | "True" | "yes") => Some(true),
        Value::Text(text) if matches!(text.as_str(), "false" | "False" | "no") => Some(false),
        _ => wrong(node, "`true` or `false`", "", findings),
    }
}

/// One of some words; `later` ones are refused as such.
pub fn word<'a>(
    node: &'a Node,
    wanted: &str,
    served: &[&str],
    later: &[&str],
    findings: &Findings,
) -> Option<&'a str> {
    let word = text(node, &format!("{wanted}: {}", served.join(", ")), findings)?;
    if later.contains(&word) {
        return not_served(node, &format!("{wanted}: {word}"), findings);
    }
    if served.contains(&word) {
        return Some(word);
    }
    let advice = findings.suggest(word, served.iter().chain(later).copied());
    wrong(
        node,
        &format!("{wanted}: {}", served.join(", ")),
        &advice,
        findings,
    )
}

/// Whether another host can be reached by it.
pub fn is_host(address: Ipv4Addr) -> bool {
    let is_odd = address.is_loopback() || address.is_unspecified();
    !is_odd && !address.is_multicast() && !address.is_broadcast()
}

/// An address hosts can have.
pub fn address(node: &Node, findings: &Findings) -> Option<Ipv4Addr> {
    let wanted = "an IPv4 address of a host";
    let found = text(node, wanted, findings)?;
    if let Ok(address) = found.parse::<std::net::Ipv6Addr>() {
        return not_served(node, &format!("{address} (IPv6)"), findings);
    }
    let advice = if found.contains('/') {
        "leave the prefix length out"
    } else {
        ""
    };
    match found.parse::<Ipv4Addr>() {
        Ok(address) if is_host(address) => Some(address),
        _ => wrong(node, wanted, advice, findings),
    }
}

/// A list, or one item that stands for a list of one.
pub fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// A list with something in it.
pub fn list<'a>(node: &'a Node, wanted: &str, findings: &Findings) -> Option<&'a [Node]> {
    match &node.value {
        Value::List(items) if !items.is_empty() => Some(items),
        _ => wrong(node, wanted, "", findings),
    }
}
