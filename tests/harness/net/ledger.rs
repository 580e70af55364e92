//! The peers' own counts: what the fabric's ports sent to a gateway, and what each host's TCP received. gwpool's
//! `reasons` must add up to these; its own word alone proves nothing.

use super::fabric::port;
use super::gateway::Gateway;
use super::namespace::Namespace;
use super::site::Site;
use super::wait::wait_for;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One reading of every count there is, taken while nothing moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// By gateway: frames the fabric handed to its managed interfaces.
    pub frames: BTreeMap<String, u64>,
    /// By gateway: its daemon's `reasons`.
    pub reasons: BTreeMap<String, BTreeMap<String, u64>>,
    /// By host: TCP segments that reached its stack.
    pub segments: BTreeMap<String, u64>,
}

impl Ledger {
    /// Reads until two readings in a row are equal: the network is quiet.
    pub fn read(site: &Site) -> Result<Ledger> {
        let mut before = Ledger::snapshot(site)?;
        wait_for("a quiet network", super::LIMIT, || {
            let now = Ledger::snapshot(site)?;
            let last = std::mem::replace(&mut before, now.clone());
            ensure!(last == now, "counts still move");
            Ok(now)
        })
    }

    fn snapshot(site: &Site) -> Result<Ledger> {
        let mut ledger = Ledger {
            frames: BTreeMap::new(),
            reasons: BTreeMap::new(),
            segments: BTreeMap::new(),
        };
        ledger
            .segments
            .insert("client".into(), tcp(&site.client.namespace)?.received);
        let sent = sent_by_ports(&site.fabric)?;
        for gateway in &site.gateways {
            let sum = |network| {
                sent.get(&port(network, &gateway.name))
                    .copied()
                    .unwrap_or(0)
            };
            ledger.frames.insert(
                gateway.name.clone(),
                sum("gateway-network") + sum("box-network"),
            );
            ledger
                .segments
                .insert(gateway.name.clone(), tcp(&gateway.namespace)?.received);
            if let Ok(stats) = gateway.stats() {
                ledger.reasons.insert(gateway.name.clone(), stats.reasons);
            }
        }
        Ok(ledger)
    }

    /// What was added since an earlier reading.
    pub fn since(&self, earlier: &Ledger) -> Ledger {
        let reasons = self.reasons.iter().map(|(gateway, now)| {
            let before = earlier.reasons.get(gateway).cloned().unwrap_or_default();
            (gateway.clone(), difference(now, &before))
        });
        Ledger {
            frames: difference(&self.frames, &earlier.frames),
            reasons: reasons.collect(),
            segments: difference(&self.segments, &earlier.segments),
        }
    }

    /// Packets counted on a gateway under a reason.
    pub fn reason(&self, gateway: &Gateway, name: &str) -> u64 {
        self.reasons
            .get(&gateway.name)
            .and_then(|reasons| reasons.get(name))
            .copied()
            .unwrap_or(0)
    }

    /// Packets counted on a gateway, whatever became of them.
    pub fn counted(&self, gateway: &Gateway) -> u64 {
        self.reasons
            .get(&gateway.name)
            .map_or(0, |reasons| reasons.values().sum())
    }
}

fn difference(
    now: &BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let less = |name: &String| before.get(name).copied().unwrap_or(0);
    now.iter()
        .map(|(name, value)| (name.clone(), value - less(name)))
        .collect()
}

/// What the TCP of a host has counted (`/proc/net/snmp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Segments received.
    pub received: u64,
    /// Segments sent again.
    pub retransmitted: u64,
}

/// Reads a host's TCP counts.
pub fn tcp(host: &Namespace) -> Result<Tcp> {
    let text = host.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = lines
        .next()
        .zip(lines.next())
        .context("no Tcp lines in /proc/net/snmp")?;
    let find = |wanted: &str| {
        let mut pairs = names.split(' ').zip(values.split(' '));
        let (_, value) = pairs
            .find(|(name, _)| *name == wanted)
            .with_context(|| format!("no {wanted}"))?;
        value
            .parse()
            .with_context(|| format!("{wanted} is {value}"))
    };
    Ok(Tcp {
        received: find("InSegs")?,
        retransmitted: find("RetransSegs")?,
    })
}

/// Frames each port of the fabric has sent out.
fn sent_by_ports(fabric: &Namespace) -> Result<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    struct Link {
        ifname: String,
        stats64: Stats,
    }
    #[derive(Deserialize)]
    struct Stats {
        tx: Sent,
    }
    #[derive(Deserialize)]
    struct Sent {
        packets: u64,
    }
    let text = fabric.run("ip", &["-s", "-j", "link", "show"])?;
    let links: Vec<Link> = serde_json::from_str(&text).context("reading ip -s -j link")?;
    Ok(links
        .into_iter()
        .map(|link| (link.ifname, link.stats64.tx.packets))
        .collect())
}
