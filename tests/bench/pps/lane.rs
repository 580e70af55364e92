//! A contestant: what forwards in the middle of its row, how much state it has, and how it is rid of that.

use super::chain::Chain;
use super::link::{Hook, Link};
use super::sender::PORT;
use crate::peers::{self, Service};
use crate::row::{self, BACK_LINK, BACKENDS, CLIENTS, Endpoints, FRONT, Row};
use anyhow::{Context, Result, ensure};
use aya::Ebpf;
use aya::maps::Array;
use gwpool_floors::Step;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::nat::subject::forget_connections;
use std::net::Ipv4Addr;
use std::process::Stdio;

/// What is done with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Sent on to a backend, in turn, as if from the gateway; or, by who cannot do that, just sent on.
    Balance,
    /// Sent on as if from the gateway.
    Translate,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarder {
    /// Our own program that gives a frame other Ethernet addresses, and no more.
    Redirect,
    /// The kernel's routing.
    Kernel,
    /// The same with connection tracking.
    Conntrack,
    /// The daemon.
    Gwpool(Datapath),
    /// nftables.
    Nft,
    /// iptables.
    Iptables,
}

/// A contestant in its row.
pub struct Lane {
    forwarder: Forwarder,
    /// The ends, and the row.
    pub chain: Chain,
    _steps: Vec<Ebpf>,
}

impl Lane {
    /// Sets it up, and waits until a packet comes through.
    pub fn up(work: Work, forwarder: Forwarder) -> Result<Lane> {
        let mut row = Row::up(Endpoints::MtuSized)?;
        let steps = forward(&mut row, work, forwarder)?;
        let hook = match forwarder {
            Forwarder::Redirect | Forwarder::Gwpool(Datapath::Native) => Hook::Xdp,
            _ => Hook::Tc,
        };
        let mut chain = Chain::up(row, target(work, forwarder), hook)?;
        chain.open()?;
        Ok(Lane {
            forwarder,
            chain,
            _steps: steps,
        })
    }

    /// Of a chain that stands already.
    pub fn of(forwarder: Forwarder, chain: Chain) -> Lane {
        Lane {
            forwarder,
            chain,
            _steps: Vec::new(),
        }
    }

    /// Sees to it that these flows are established, and no others are there.
    pub fn establish(&mut self, flows: u32) -> Result<()> {
        if self.flows()?.is_none_or(|known| known == u64::from(flows)) {
            return Ok(());
        }
        self.empty()?;
        self.chain.establish(flows)?;
        let known = self.flows()?;
        ensure!(
            known == Some(flows.into()),
            "{flows} flows were to be established, {known:?} are"
        );
        Ok(())
    }

    /// Forgets every flow.
    pub fn empty(&self) -> Result<()> {
        let gateway = &self.chain.row.gateway;
        match self.forwarder {
            Forwarder::Redirect | Forwarder::Kernel => {}
            Forwarder::Gwpool(_) => {
                let mut delete = gateway.user("flows")?;
                delete.args(["--delete", "proto=udp"]).stdout(Stdio::null());
                let done = delete.output().context("deleting flows")?;
                let said = String::from_utf8_lossy(&done.stderr);
                ensure!(done.status.success(), "deleting flows: {}", said.trim());
            }
            _ => forget_connections(&gateway.namespace)?,
        }
        Ok(())
    }

    /// Flows that are established, by who knows of flows; of the kernel's connections, all.
    fn flows(&self) -> Result<Option<u64>> {
        let gateway = &self.chain.row.gateway;
        Ok(match self.forwarder {
            Forwarder::Redirect | Forwarder::Kernel => None,
            Forwarder::Gwpool(_) => Some(gateway.stats()?.datapath.flows.established),
            _ => {
                let file = "/proc/sys/net/netfilter/nf_conntrack_count";
                let count = gateway.namespace.enter(|| std::fs::read_to_string(file))?;
                Some(count.context(file)?.trim().parse()?)
            }
        })
    }
}

/// Whom the client asks: the gateway, or the backend behind it.
fn target(work: Work, forwarder: Forwarder) -> Ipv4Addr {
    match (work, forwarder) {
        (Work::Translate, _) => BACKENDS[0],
        (_, Forwarder::Redirect | Forwarder::Kernel | Forwarder::Conntrack) => BACKENDS[0],
        _ => FRONT,
    }
}

/// Starts what forwards; the programs, if they are the benchmark's own.
fn forward(row: &mut Row, work: Work, forwarder: Forwarder) -> Result<Vec<Ebpf>> {
    let service = Service {
        protocol: "udp",
        listen: FRONT,
        ports: &[PORT],
        backends: &BACKENDS,
    };
    let rules = match (work, forwarder) {
        (_, Forwarder::Kernel) => return Ok(Vec::new()),
        (_, Forwarder::Redirect) => return steps(row),
        (Work::Balance, Forwarder::Gwpool(datapath)) => {
            let inventory = row::forwarding(datapath, &[("udp", PORT)], "");
            row.serve(datapath, &inventory)?;
            return Ok(Vec::new());
        }
        (Work::Translate, Forwarder::Gwpool(datapath)) => {
            let inventory = row::translating(datapath, &format!("{CLIENTS}/15"));
            row.serve(datapath, &inventory)?;
            return Ok(Vec::new());
        }
        (_, Forwarder::Conntrack) => peers::nft_conntrack(),
        (Work::Balance, Forwarder::Nft) => peers::nft_balance(&service, BACK_LINK),
        (Work::Balance, Forwarder::Iptables) => peers::iptables_balance(&service, BACK_LINK),
        (Work::Translate, Forwarder::Nft) => peers::nft_masquerade(BACK_LINK),
        (Work::Translate, Forwarder::Iptables) => peers::iptables_masquerade(BACK_LINK),
    };
    rules.load(&row.gateway.namespace)?;
    Ok(Vec::new())
}

/// Attaches the static redirect, there and back.
pub fn steps(row: &Row) -> Result<Vec<Ebpf>> {
    let [client, front, back, backends] = row.links();
    let link = |(host, name)| Link::of(host, name);
    let (client, front) = (link(client)?, link(front)?);
    let (back, backends) = (link(back)?, link(backends)?);
    let there = step(&front, &back, &backends)?;
    Ok(vec![there, step(&back, &front, &client)?])
}

/// What comes in here goes out there, to the other end of that cable.
fn step(here: &Link, there: &Link, end: &Link) -> Result<Ebpf> {
    let mut floors = here.attach("step")?;
    let mut addresses = [0; 12];
    addresses[..6].copy_from_slice(&end.mac);
    addresses[6..].copy_from_slice(&there.mac);
    let to = Step {
        addresses,
        interface: there.index,
    };
    let map = floors.map_mut("STEP").context("STEP")?;
    let mut step: Array<_, Step> = map.try_into()?;
    step.set(0, to, 0)?;
    Ok(floors)
}
