//! The weights of a route: `weights: {HOST: N}`, and `weight: N` for whom that does not name.
//!
//! Read one value at a time, then given to the backends once those are known. What a weight does to the turns is in
//! [`turns`](crate::plan::turns).
#![forbid(unsafe_code)]

use super::report::{Cause, Findings, Place};
use super::schema::{Section, number, wrong};
use super::tree::{Node, Value};
use crate::plan::{Backend, turns};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Weights as written.
#[derive(Debug)]
pub struct WeightWords {
    /// Of every backend that is not named, as HAProxy's `default-server weight`.
    others: u16,
    /// By the name of a host, or an address.
    named: Vec<(String, u16, Place)>,
    /// Where weights are given, if they are.
    at: Option<Place>,
}

/// Reads `weight` and `weights`.
pub fn read(section: &Section) -> Option<WeightWords> {
    const WANTED: &str = "a map of backends to their weights, as `{gateway-1: 2}`";
    let (weight, weights) = (section.get("weight"), section.get("weights"));
    let others = match weight {
        Some(node) if matches!(node.value, Value::Map(_)) => {
            let advice = "a map of backends stands in `weights`";
            return wrong(
                node,
                "the weight of every backend",
                advice,
                section.findings,
            );
        }
        Some(node) => weight_of(node, section.findings),
        None => Some(1),
    };
    let mut named = Vec::new();
    if let Some(node) = weights {
        if !matches!(node.value, Value::Map(_)) {
            let advice = "the weight of every backend stands in `weight`";
            return wrong(node, WANTED, advice, section.findings);
        }
        for entry in node.entries() {
            if let Some(weight) = weight_of(&entry.node, section.findings) {
                named.push((entry.key.clone(), weight, entry.at.clone()));
            }
        }
    }
    Some(WeightWords {
        others: others?,
        named,
        at: weights.or(weight).map(|node| node.at.clone()),
    })
}

fn weight_of(node: &Node, findings: &Findings) -> Option<u16> {
    let weight = number(node, "a weight", 0..=i64::from(turns::WEIGHT_MAX), findings)?;
    u16::try_from(weight).ok()
}

impl WeightWords {
    /// Gives the backends of a route their weights. `own`: where this node is on their network, if that is written;
    /// `unplaced`: backends whose address is missing, which has been said.
    pub fn give(
        &self,
        route: &str,
        backends: &mut [Backend],
        own: Option<Ipv4Addr>,
        unplaced: &[String],
        findings: &Findings,
    ) {
        for backend in &mut *backends {
            backend.weight = self.others;
        }
        let mut given: BTreeMap<usize, (&str, &Place)> = BTreeMap::new();
        for (name, weight, at) in &self.named {
            let Some(index) = find(name, backends, own) else {
                self.refuse_unknown(route, name, at, backends, unplaced, findings);
                continue;
            };
            if let Some((other, first)) = given.insert(index, (name, at)) {
                let backend = &backends[index].name;
                let cause = Cause::Clash {
                    what: format!("`{name}` gives the backend `{backend}` of `{route}` its weight"),
                    other: format!("`{other}`"),
                    first: first.clone(),
                };
                findings.error(at, cause);
            }
            backends[index].weight = *weight;
        }
        if let Some(at) = &self.at
            && backends.iter().all(|backend| backend.weight == 0)
            && !backends.is_empty()
        {
            let text = format!(
                "every backend of the route `{route}` has the weight 0: live flows go on, new connections get no backend"
            );
            findings.note(at, text);
        }
    }

    /// An error for a cycle of more turns than a route may have. Without a word on weights it never has.
    pub fn refuse_long_cycle(&self, route: &str, backends: &[Backend], findings: &Findings) {
        let weights: Vec<u16> = backends.iter().map(|backend| backend.weight).collect();
        let (length, most) = (turns::length(&weights), turns::most(&weights));
        if let Some(at) = &self.at
            && length > most
        {
            let what = format!(
                "turns in a cycle of the route `{route}` (the sum of its weights, divided by what they have in common)"
            );
            let advice = "give smaller weights, or such as have more in common: steps of 10 do";
            let found = usize::try_from(length).unwrap_or(usize::MAX);
            findings.error(at, Cause::too_many(what, found, most, advice));
        }
    }

    fn refuse_unknown(
        &self,
        route: &str,
        name: &str,
        at: &Place,
        backends: &[Backend],
        unplaced: &[String],
        findings: &Findings,
    ) {
        // With a backend unknown, its address may be what is named here; with all of them, so has the group been.
        let is_address = name.parse::<Ipv4Addr>().is_ok();
        let silent = unplaced.iter().any(|known| is_address || known == name);
        if silent || backends.len() + unplaced.len() == 0 {
            return;
        }
        let placed = backends.iter().map(|backend| backend.name.as_str());
        let known = placed.chain(unplaced.iter().map(String::as_str));
        let what = format!("the backend `{name}` of the route `{route}`");
        let advice = findings.suggest(name, known);
        findings.error(at, Cause::Undefined { what, advice });
    }
}

/// By name before by address: a host may be called what another's address looks like.
fn find(name: &str, backends: &[Backend], own: Option<Ipv4Addr>) -> Option<usize> {
    let named = backends.iter().position(|backend| backend.name == name);
    let address: Option<Ipv4Addr> = name.parse().ok();
    let is_there = |backend: &Backend| backend.address.or(own) == address;
    named.or_else(|| {
        address?;
        backends.iter().position(is_there)
    })
}
