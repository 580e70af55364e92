//! `allow` and `deny`: who may use a route, or is translated, by prefix or address.
//!
//! The most specific prefix of both lists holds. Whoever writes `allow` means to keep others out: an empty one is an
//! error, not a route open to all.
#![forbid(unsafe_code)]

use super::report::{Cause, Findings, Place};
use super::schema::{Section, items, not_served, text, wrong};
use super::tree::{Node, Value};
use crate::plan::Access;
use ipnet::{Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Prefixes in the order written, each once.
pub type Prefixes = Vec<(Ipv4Net, Place)>;

/// Reads `allow` and `deny`.
pub fn read(section: &Section) -> Option<Access> {
    let (allow, deny) = (prefixes(section, "allow"), prefixes(section, "deny"));
    let (allow, deny) = (allow?, deny?);
    refuse_both(&allow, &deny, section.findings);
    let bare = |prefixes: Prefixes| prefixes.into_iter().map(|(prefix, _)| prefix).collect();
    Some(Access {
        allow: bare(allow),
        deny: bare(deny),
    })
}

/// A list of prefixes, or one. `None`: wrong, and said.
pub fn prefixes(section: &Section, key: &str) -> Option<Prefixes> {
    let Some(node) = section.entry(key).map(|entry| &entry.node) else {
        return Some(Vec::new());
    };
    let listed = match &node.value {
        Value::Null => &[],
        _ => items(node),
    };
    if listed.is_empty() && key == "allow" {
        let advice = "without `allow` everybody may come; to keep all out, `deny: 0.0.0.0/0`";
        return wrong(
            node,
            "at least one prefix to allow",
            advice,
            section.findings,
        );
    }
    let read: Vec<Option<(Ipv4Net, Place)>> = listed
        .iter()
        .map(|item| Some((prefix(item, section.findings)?, item.at.clone())))
        .collect();
    let mut known = BTreeMap::new();
    let mut prefixes: Prefixes = read.into_iter().collect::<Option<_>>()?;
    prefixes.retain(|(prefix, _)| known.insert(*prefix, ()).is_none());
    Some(prefixes)
}

/// `10.0.0.0/8`, or an address that stands for itself.
fn prefix(node: &Node, findings: &Findings) -> Option<Ipv4Net> {
    const WANTED: &str = "an IPv4 prefix as 10.0.0.0/8, or an address";
    let found = text(node, WANTED, findings)?;
    if found.parse::<Ipv6Net>().is_ok() || found.parse::<Ipv6Addr>().is_ok() {
        return not_served(node, &format!("{found} (IPv6)"), findings);
    }
    if let Ok(address) = found.parse::<Ipv4Addr>() {
        return Some(Ipv4Net::from(address));
    }
    let Ok(written) = found.parse::<Ipv4Net>() else {
        return wrong(node, WANTED, "", findings);
    };
    let prefix = written.trunc();
    if prefix != written {
        findings.note(&node.at, format!("`{written}` is read as {prefix}"));
    }
    Some(prefix)
}

fn refuse_both(allow: &Prefixes, deny: &Prefixes, findings: &Findings) {
    let allowed: BTreeMap<Ipv4Net, &Place> = allow.iter().map(|(net, at)| (*net, at)).collect();
    for (prefix, at) in deny {
        if let Some(first) = allowed.get(prefix) {
            let found = format!("{prefix} in both (allowed at {first})");
            let cause = Cause::wanted("each prefix in `allow` or in `deny`", found, "remove one");
            findings.error(at, cause);
        }
    }
}
