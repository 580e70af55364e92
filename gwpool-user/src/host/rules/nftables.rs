//! What `nft -j list ruleset` prints, as rules: `nf_tables`, those of `iptables-nft` included.
#![forbid(unsafe_code)]

use super::{Hit, Outbound, Rule, Table, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;

/// Elements of named sets, by table and name.
type Sets<'a> = BTreeMap<(String, &'a str), &'a Value>;

/// All tables that see IPv4. `None`: it is not what nft prints.
pub fn read(text: &str, outbound: &Outbound) -> Option<Vec<Table>> {
    let ruleset: Value = serde_json::from_str(text).ok()?;
    let objects = ruleset["nftables"].as_array()?;
    let mut sets = Sets::new();
    for set in objects.iter().map(|object| &object["set"]) {
        if let (Some(table), Some(name)) = (table(set), set["name"].as_str()) {
            sets.insert((table, name), &set["elem"]);
        }
    }
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for object in objects {
        let (chain, rule) = (&object["chain"], &object["rule"]);
        if let (Some(name), Some(table)) = (chain["name"].as_str(), table(chain)) {
            let table = tables.entry(table).or_default();
            table.chains.entry(name.to_owned()).or_default();
            if chain["type"] == "nat" && chain["hook"] == "postrouting" {
                table.bases.push(name.to_owned());
            }
        }
        if let (Some(chain), Some(table)) = (rule["chain"].as_str(), table(rule)) {
            let read = one(rule, chain, &table, &sets, outbound);
            let chains = &mut tables.entry(table).or_default().chains;
            chains.entry(chain.to_owned()).or_default().push(read);
        }
    }
    Some(tables.into_values().collect())
}

/// Family and name, as they stand in a command.
fn table(object: &Value) -> Option<String> {
    let (family, name) = (object["family"].as_str()?, object["table"].as_str()?);
    matches!(family, "ip" | "inet").then(|| format!("{family} {name}"))
}

fn one(rule: &Value, chain: &str, table: &str, sets: &Sets, outbound: &Outbound) -> Rule {
    let mut read = Rule {
        hit: Hit::All,
        verdict: Verdict::Pass,
        removal: format!("nft delete rule {table} {chain} handle {}", rule["handle"]),
    };
    for statement in rule["expr"].as_array().into_iter().flatten() {
        let Some((name, value)) = statement
            .as_object()
            .and_then(|object| object.iter().next())
        else {
            // Every statement is an object, also `{"accept": null}`: what is none is not known.
            read.hit = read.hit.and(Hit::Unknown);
            continue;
        };
        let target = || value["target"].as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "match" => read.hit = read.hit.and(matched(value, table, sets, outbound)),
            "xt" => extension(value, &mut read),
            "masquerade" | "snat" => read.verdict = Verdict::Translate,
            "accept" | "drop" | "reject" => read.verdict = Verdict::End,
            "return" => read.verdict = Verdict::Return,
            "jump" => read.verdict = Verdict::Jump(target()),
            "goto" => read.verdict = Verdict::Goto(target()),
            "counter" | "comment" | "log" | "mangle" => {}
            _ => read.hit = read.hit.and(Hit::Unknown),
        }
    }
    read
}

/// An extension of iptables.
fn extension(value: &Value, rule: &mut Rule) {
    match (value["type"].as_str(), value["name"].as_str()) {
        (Some("target"), Some("MASQUERADE" | "SNAT")) => rule.verdict = Verdict::Translate,
        (Some("target"), _) | (_, Some("comment")) => {}
        (_, Some("tcp" | "udp" | "multiport")) => rule.hit = rule.hit.and(Hit::Some),
        _ => rule.hit = rule.hit.and(Hit::Unknown),
    }
}

fn matched(value: &Value, table: &str, sets: &Sets, outbound: &Outbound) -> Hit {
    let (left, right) = (&value["left"], &value["right"]);
    let named = |right: &Value| {
        let name = right.as_str()?.strip_prefix('@')?;
        sets.get(&(table.to_owned(), name)).copied()
    };
    let right = named(right).unwrap_or(right);
    let interface = |name: &str| {
        any(right, |one| match one.as_str() {
            Some(pattern) => Hit::interface(pattern, name),
            None => Hit::Unknown,
        })
    };
    let payload = (
        left["payload"]["protocol"].as_str(),
        left["payload"]["field"].as_str(),
    );
    let hit = match (left["meta"]["key"].as_str(), payload) {
        (Some("oif" | "oifname"), _) => interface(outbound.outside),
        (Some("iif" | "iifname"), _) => interface(outbound.inside),
        (Some("nfproto"), _) => match right.as_str() {
            Some("ipv4") => Hit::All,
            _ => Hit::None,
        },
        (Some("l4proto" | "protocol"), _) => Hit::Some,
        (_, (Some("ip"), Some("saddr"))) => any(right, |one| source(one, outbound)),
        (_, (Some("ip" | "tcp" | "udp" | "th" | "icmp"), _)) => Hit::Some,
        _ => Hit::Unknown,
    };
    match value["op"].as_str() {
        Some("==" | "in") => hit,
        Some("!=") => hit.inverted(),
        _ => Hit::Unknown,
    }
}

/// One value, or any of a set.
fn any(right: &Value, hit: impl Fn(&Value) -> Hit) -> Hit {
    let listed = right["set"].as_array().or_else(|| right.as_array());
    let Some(listed) = listed else {
        return hit(right);
    };
    let hits = listed.iter().map(|one| {
        let bare = &one["elem"]["val"];
        hit(if bare.is_null() { one } else { bare })
    });
    hits.min().unwrap_or(Hit::None)
}

fn source(value: &Value, outbound: &Outbound) -> Hit {
    let prefix = &value["prefix"];
    let text = match (value.as_str(), prefix["addr"].as_str()) {
        (Some(address), _) => address.to_owned(),
        (None, Some(address)) => format!("{address}/{}", prefix["len"]),
        // A range, perhaps: some of them for all that is known.
        _ => return Hit::Unknown,
    };
    Hit::source(&text, outbound.sources)
}
