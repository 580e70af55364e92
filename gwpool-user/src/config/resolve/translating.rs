//! A node that translates: between which networks, and as what.
//!
//! Which of the addresses are on this host now is not asked here.
#![forbid(unsafe_code)]

use super::Resolving;
use crate::config::nat::{self, NatWords};
use crate::config::report::{Cause, Place};
use crate::config::schema::{text, wrong};
use crate::config::sections::Gwpool;
use crate::config::vips::{self, Vips};
use crate::plan::{Nat, SeenAs};

/// `input_interface` and `output_interface`: each the name of a network, and where that is said.
#[derive(Debug)]
pub struct Sides {
    inside: (String, Place),
    outside: (String, Place),
}

impl Resolving<'_> {
    /// The networks of a node that translates: both or neither.
    pub(super) fn sides(&mut self) -> Option<Sides> {
        let [inside, outside] = ["input_interface", "output_interface"]
            .map(|key| self.scope.variable(key).filter(|node| !node.is_null()));
        let (inside, outside) = match (inside, outside) {
            (Some(inside), Some(outside)) => (inside, outside),
            (None, None) => return None,
            (Some(lone), None) | (None, Some(lone)) => {
                let wanted = "`output_interface` and `input_interface` together";
                return wrong(&lone, wanted, "add the other", self.findings);
            }
        };
        let name = |node| text(node, "the name of a network", self.findings).map(str::to_owned);
        let (inside_name, outside_name) = (name(&inside), name(&outside));
        let sides = Sides {
            inside: (inside_name?, inside.at),
            outside: (outside_name?, outside.at),
        };
        if sides.inside.0 == sides.outside.0 {
            let cause = Cause::Clash {
                what: format!("`output_interface` is `{}`", sides.outside.0),
                other: "`input_interface`".to_owned(),
                first: sides.inside.1.clone(),
            };
            self.findings.error(&sides.outside.1, cause);
        }
        self.add_network(&sides.inside.0, true, &sides.inside.1);
        self.add_network(&sides.outside.0, false, &sides.outside.1);
        Some(sides)
    }

    /// The VIPs of this node's group. Somebody else moves them.
    pub(super) fn vips(&self) -> Vips {
        let node = self.scope.variable("vips").filter(|node| !node.is_null());
        let Some(node) = node else {
            return Vips::new();
        };
        let text = "VRRP (`vips`) is not served by this version: keepalived goes on to put the VIPs where they \
                    belong, and gwpool follows them";
        self.findings.note(&node.at, text.to_owned());
        let vips = vips::read(&node, self.findings);
        for (network, (_, at)) in &vips {
            if !self.networks.contains_key(network) {
                let known = self.networks.keys().map(String::as_str);
                let near = self.findings.suggest(network, known);
                let text =
                    format!("`vips` names `{network}`, which this node does not use; {near}");
                self.findings.note(at, text);
            }
        }
        vips
    }

    /// The translation of a node that has sides.
    pub(super) fn nat(&self, sides: Option<Sides>, gwpool: &Gwpool, vips: &Vips) -> Option<Nat> {
        let Some(sides) = sides else {
            if let Some(words) = &gwpool.nat {
                let text = "`gwpool.nat` changes nothing here: this node has no `output_interface` and `input_interface`";
                self.findings.note(&words.at, text.to_owned());
            }
            return None;
        };
        let unsaid = NatWords::default();
        let words = gwpool.nat.as_ref().unwrap_or(&unsaid);
        let (inside, outside) = (sides.inside.0, sides.outside.0);
        self.refuse_one_interface([&inside, &outside], &sides.outside.1, gwpool);
        let seen_as = self.seen_as(words, &outside, vips, &sides.outside.1);
        for address in seen_as.addresses() {
            words.refuse_inside(*address, "the NAT address", self.findings);
        }
        Some(Nat {
            inside,
            outside,
            seen_as,
            sources: words.sources.iter().map(|(prefix, _)| *prefix).collect(),
            ..words.nat.clone()
        })
    }

    /// Two networks may be mapped to one interface, but not these.
    fn refuse_one_interface(&self, sides: [&str; 2], at: &Place, gwpool: &Gwpool) {
        let interface = |network| match gwpool.interfaces.get(network) {
            Some((interface, _)) => interface.as_str(),
            None => network,
        };
        let [inside, outside] = sides.map(interface);
        if inside == outside && sides[0] != sides[1] {
            let wanted = "`input_interface` and `output_interface` on two interfaces";
            let found = format!("`{inside}` for both");
            let advice = "correct `gwpool.interfaces`";
            self.findings
                .error(at, Cause::wanted(wanted, found, advice));
        }
    }

    /// The group's VIPs outside, else what `gwpool.nat` says, else what is this host's own.
    fn seen_as(&self, words: &NatWords, outside: &str, vips: &Vips, at: &Place) -> SeenAs {
        if let Some((vips, at)) = vips.get(outside) {
            nat::refuse_too_many(vips.len(), at, self.findings);
            if let Some((_, said)) = &words.addresses {
                let text = format!(
                    "the VIP on `{outside}` ({at}) is the NAT address: what `gwpool.nat` says of it changes nothing"
                );
                self.findings.note(said, text);
            }
            return SeenAs::Vips(vips.clone());
        }
        if let Some((addresses, _)) = &words.addresses {
            return SeenAs::Given(addresses.clone());
        }
        let text = format!(
            "outbound connections end at a failover: inside hosts are seen as this host's own address on `{outside}`, \
             which does not move with the master. Two lines under `vips: {{{outside}: …}}` mend it: `virtual_router_id: \
             NUMBER` and `vip: ADDRESS`"
        );
        self.findings.warn(at, text);
        SeenAs::Interface
    }
}
