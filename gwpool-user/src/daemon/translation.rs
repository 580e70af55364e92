//! Translation while it runs: its reserved ports before its addresses, whether it is on now, and who else translates.

use super::instance::Instance;
use crate::datapath;
use crate::datapath::inherit::Inherited;
use crate::host::conntrack;
use crate::host::firewall;
use crate::host::rules::Outbound;
use crate::plan::{Difference, MapWrite};
use gwpool_common::nat::Nat;
use gwpool_common::net::V4;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use tracing::{debug, info, warn};

impl Instance {
    /// Before these writes are done: what they hand out has its reserved ports.
    pub(super) fn reserve(&mut self, difference: &Difference) -> Result<(), datapath::Error> {
        if self.plan.nat.is_none() {
            return Ok(());
        }
        let nat = difference.writes.iter().find_map(|write| match write {
            MapWrite::Nat(nat) => Some(nat),
            _ => None,
        });
        let nat = nat.unwrap_or(&self.image.nat);
        let words = self.reserved.lay(&self.datapath, &self.plan, nat)?;
        if words != 0 {
            debug!("reserved ports: {words} word(s) written");
        }
        Ok(())
    }

    /// At the first start: what the kernel has translated until now goes on as it is.
    pub(super) fn inherit(&mut self) -> Result<(), datapath::Error> {
        let nat = self.image.nat;
        if nat.flags & Nat::<V4>::ACTIVE == 0 {
            return Ok(());
        }
        let table = match std::fs::read_to_string(conntrack::TABLE) {
            Ok(table) => table,
            Err(error) => {
                info!(
                    "{}: {error}: connections that the kernel has translated until now go on once their inside host speaks",
                    conntrack::TABLE
                );
                return Ok(());
            }
        };
        let connections = conntrack::translated(&table);
        let (networks, flows) = (&self.image.networks, self.plan.limits.flows);
        let inherited = self.datapath.inherit(&connections, &nat, networks, flows)?;
        if inherited != Inherited::default() {
            info!(
                "going on with what the kernel has translated: {} flow(s) of inside hosts; {} connection(s) stay the \
                 kernel's",
                inherited.flows, inherited.kept
            );
        }
        Ok(())
    }

    /// Says what has become of translation.
    pub(super) fn tell_translation(&self, before: &Nat<V4>) {
        let now = &self.image.nat;
        let state = |nat: &Nat<V4>| {
            (
                nat.flags & (Nat::<V4>::ON | Nat::<V4>::ACTIVE),
                handed_out(nat),
            )
        };
        if state(before) == state(now) {
            return;
        }
        match state(now) {
            (0, _) => info!("nothing is translated any more"),
            (_, addresses) if addresses.is_empty() => info!(
                "translation stands by: none of its addresses is on this host; new connections from inside are dropped"
            ),
            (_, addresses) => info!("translating inside hosts as {}", addresses.join(", ")),
        }
    }

    /// Whether it is on, in a word behind others.
    pub(super) fn translation(&self) -> &'static str {
        let flags = self.image.nat.flags;
        match (flags & Nat::<V4>::ON != 0, flags & Nat::<V4>::ACTIVE != 0) {
            (false, _) => "",
            (true, false) => ", translation standing by",
            (true, true) => ", translating",
        }
    }

    /// Names the rules by which the kernel translates the same packets. Beside the loop: a ruleset may be long.
    pub(super) fn name_leftovers(&self) {
        let Some(nat) = &self.plan.nat else {
            return;
        };
        let interface = |network: &str| {
            self.plan
                .network(network)
                .map(|found| found.interface.clone())
        };
        let (Some(inside), Some(outside)) = (interface(&nat.inside), interface(&nat.outside))
        else {
            return;
        };
        let networks = self.image.networks.iter();
        let networks = networks.filter(|network| network.interface == self.image.nat.inside);
        let sources: Vec<Ipv4Net> = networks
            .filter_map(|network| {
                Ipv4Net::with_netmask(network.prefix.into(), network.mask.into()).ok()
            })
            .collect();
        tokio::task::spawn_blocking(move || {
            let answer = firewall::translating(&Outbound {
                inside: &inside,
                outside: &outside,
                sources: &sources,
            });
            for removal in &answer.removals {
                warn!(
                    "a rule of the kernel's own translates what inside hosts send by {outside}, as gwpool does; what \
                     gwpool leaves to the kernel would leave by other ports. Take it out: {removal}"
                );
            }
            for unasked in &answer.unasked {
                warn!(
                    "cannot ask {unasked} whether a rule of the kernel's own translates what leaves by {outside}: if \
                     there is one, take it out"
                );
            }
            if answer == firewall::Answer::default() {
                info!("no rule of the kernel's own translates what inside hosts send by {outside}");
            }
        });
    }
}

/// The addresses that are handed out.
fn handed_out(nat: &Nat<V4>) -> Vec<String> {
    let addresses = &nat.addresses[..nat.address_count as usize];
    addresses
        .iter()
        .map(|address| Ipv4Addr::from(*address).to_string())
        .collect()
}
