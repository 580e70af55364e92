//! `gwpool.limits`: how much each table holds, and what one client may take of it.
//!
//! Each has a floor and a ceiling.
#![forbid(unsafe_code)]

use super::report::Findings;
use super::schema::{Section, number};
use super::tree::Node;
use crate::plan::Limits;
use gwpool_common::limits::{BACKENDS_MAX, LISTENERS};

/// Flows a table may be asked to hold: 64 million are 14 GB.
const FLOWS_MAX: u32 = 1 << 26;

struct Bound {
    key: &'static str,
    least: u32,
    most: u32,
    of: fn(&mut Limits) -> &mut u32,
}

const fn bound(
    key: &'static str,
    (least, most): (u32, u32),
    of: fn(&mut Limits) -> &mut u32,
) -> Bound {
    Bound {
        key,
        least,
        most,
        of,
    }
}

/// Those that follow from no other.
const PLAIN: [Bound; 12] = [
    // A table of less evicts what it has just taken in.
    bound("flows", (16, FLOWS_MAX), |limits| &mut limits.flows),
    bound("embryonic", (16, FLOWS_MAX), |limits| &mut limits.embryonic),
    bound("routes", (1, 1 << 20), |limits| &mut limits.routes),
    // Backend ids are 24 bits, and 0 is never used.
    bound("backends", (1, BACKENDS_MAX - 1), |limits| {
        &mut limits.backends
    }),
    bound("access", (1, 1 << 20), |limits| &mut limits.access),
    bound("sources", (16, 1 << 24), |limits| &mut limits.sources),
    bound("new_flows_per_source", (1, FLOWS_MAX), |limits| {
        &mut limits.new_flows_per_source
    }),
    bound("answers_per_second", (1, 1 << 20), |limits| {
        &mut limits.answers_per_second
    }),
    bound("fragments", (16, 1 << 20), |limits| &mut limits.fragments),
    bound("mappings", (1, 1 << 24), |limits| &mut limits.mappings),
    bound("permissions", (16, 1 << 24), |limits| {
        &mut limits.permissions
    }),
    bound("subscribers", (16, 1 << 24), |limits| {
        &mut limits.subscribers
    }),
];

/// Those that do, unless they are given. Nobody's share is more than there is.
const DERIVED: [Bound; 3] = [
    // All ports of 64 addresses.
    bound("listeners", (1, 1 << 22), |limits| &mut limits.listeners),
    bound("flows_per_source", (1, FLOWS_MAX), |limits| {
        &mut limits.flows_per_source
    }),
    bound("udp_flows", (1, FLOWS_MAX), |limits| &mut limits.udp_flows),
];

/// Reads `gwpool.limits`. What is wrong keeps its default, and has been said.
pub fn read(node: &Node, findings: &Findings) -> Limits {
    let mut limits = Limits::default();
    let keys: Vec<&str> = PLAIN
        .iter()
        .chain(&DERIVED)
        .map(|bound| bound.key)
        .collect();
    let Some(section) = Section::open(node, "`gwpool.limits`", &keys, &[], findings) else {
        return limits;
    };
    let mut flows_max = FLOWS_MAX;
    for bound in &PLAIN {
        let good = give(bound, bound.most, &section, &mut limits);
        // A share of flows that are wrong themselves is not measured by them.
        if good && bound.key == "flows" {
            flows_max = limits.flows;
        }
    }
    limits.listeners = LISTENERS.max(limits.routes);
    limits.flows_per_source = limits.flows / 4;
    limits.udp_flows = limits.flows / 2;
    for bound in &DERIVED {
        let most = match bound.key {
            "listeners" => bound.most,
            _ => flows_max,
        };
        give(bound, most, &section, &mut limits);
    }
    limits
}

/// Takes over what is given. False if that is wrong.
fn give(bound: &Bound, most: u32, section: &Section, limits: &mut Limits) -> bool {
    let range = i64::from(bound.least)..=i64::from(most);
    let Some(node) = section.get(bound.key) else {
        return true;
    };
    let given = number(node, bound.key, range, section.findings);
    let given = given.and_then(|number| u32::try_from(number).ok());
    if let Some(number) = given {
        *(bound.of)(limits) = number;
    }
    given.is_some()
}

#[cfg(test)]
mod tests;
