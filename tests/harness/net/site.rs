//! Where everything is: the names, addresses and paths of one run, all derived from its id. Nothing here owns
//! anything, so a second process (`lab shell`, `lab run --keep`) sees the same site as the one that built it.

use super::client::Client;
use super::fabric::Datapath;
use super::gateway::Gateway;
use super::namespace::Namespace;
use super::nat_pool::NatPool;
use super::nodeport::Counts;
use super::run;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

/// How many gateways the seed's kube_gateway_pool has.
pub const GATEWAYS: u8 = 3;
/// The client's address on gateway-network.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 100);

/// The topology of a run, by name.
#[derive(Clone, Debug)]
pub struct Site {
    /// The run's id.
    pub id: String,
    /// `/run/gwpool-lab/ID`.
    pub directory: PathBuf,
    /// The switches: one bridge a network.
    pub fabric: Namespace,
    /// gateway-1 to gateway-3.
    pub gateways: Vec<Gateway>,
    /// The web client on gateway-network.
    pub client: Client,
    /// gateway-4 and gateway-5 and whom they serve: there only where [`nat_pool::build`](super::nat_pool::build) was asked.
    pub nat_pool: NatPool,
}

impl Site {
    /// The site of a run.
    pub fn of(id: &str) -> Site {
        Site {
            id: id.to_owned(),
            directory: run::directory(id),
            fabric: run::namespace(id, "fabric"),
            gateways: (1..=GATEWAYS)
                .map(|number| Gateway::of(id, number))
                .collect(),
            client: Client {
                namespace: run::namespace(id, "client"),
            },
            nat_pool: NatPool::of(id),
        }
    }

    /// Every host, by name; those of the NAT pair, too.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Namespace)> {
        let gateways = self.gateways.iter();
        let alone = [("client", &self.client.namespace), ("fabric", &self.fabric)];
        gateways
            .map(|gateway| (gateway.name.as_str(), &gateway.namespace))
            .chain(self.nat_pool.hosts())
            .chain(alone)
    }

    /// The gateways of both pools.
    pub fn both_pools(&self) -> Vec<Gateway> {
        let pair = self.nat_pool.gateways().into_iter();
        self.gateways.iter().chain(pair).cloned().collect()
    }

    /// `gateway-NUMBER`.
    pub fn gateway(&self, number: usize) -> &Gateway {
        &self.gateways[number - 1]
    }

    /// The one file the seed lacks: where the pool's members are on box-network.
    pub fn addresses_yaml(&self) -> String {
        let mut text = String::from("kube_gateway_pool:\n  hosts:\n");
        for gateway in &self.gateways {
            text += &format!(
                "    {}:\n      box-network:\n        address: {}\n",
                gateway.name, gateway.box_network
            );
        }
        text
    }

    /// Asks that gateway until the next connection is the turn of `backend`; gives the port to ask at.
    pub fn turn_to(&self, gateway: &Gateway, port: u16, backend: &str) -> Result<SocketAddrV4> {
        let host = gateway.front(port);
        let answers = self.client.sequential(host, self.gateways.len())?;
        let place = answers.iter().position(|answer| answer.backend == backend);
        let place =
            place.with_context(|| format!("{backend} had no turn in one round at {host}"))?;
        self.client.sequential(host, place)?;
        Ok(host)
    }

    /// Connections that each gateway's server at that port has answered.
    pub fn served_at(&self, port: u16) -> Result<BTreeMap<String, u64>> {
        let at_port = |counts: Counts| counts.get(&port).copied().unwrap_or_default().connections;
        let counts = self.counts()?.into_iter();
        Ok(counts
            .map(|(name, counts)| (name, at_port(counts)))
            .collect())
    }

    /// What the servers of each gateway have answered so far, by port; asked over each gateway's own loopback.
    pub fn counts(&self) -> Result<BTreeMap<String, Counts>> {
        let port = *seed_ports()?
            .first()
            .context("the seed's inventory has no app port")?;
        let ask = |gateway: &Gateway| {
            let client = Client {
                namespace: gateway.namespace.clone(),
            };
            let answer = client.get(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), "/counts")?;
            let counts = serde_json::from_slice(&answer.body).context("reading /counts")?;
            Ok((gateway.name.clone(), counts))
        };
        self.gateways.iter().map(ask).collect()
    }
}

/// An inventory with gateway-1 as the only gateway and these routes, a line each.
pub fn inventory(routes: &str) -> String {
    let lines = routes
        .trim()
        .lines()
        .map(|line| format!("    {}\n", line.trim()));
    let routes: String = lines.collect();
    format!(
        "gateways: {{hosts: {{gateway-1: {{box-network: {{address: 192.168.1.1}}}}}}}}\n\
         proxies:\n  target: {{group: gateways}}\n  routes:\n{routes}"
    )
}

/// The same with these `gwpool.limits`, and the datapath that then has no other place.
pub fn limited_inventory(routes: &str, datapath: Datapath, limits: &str) -> String {
    let (routes, mode) = (inventory(routes), datapath.name());
    format!("{routes}gwpool: {{datapath: {mode}, limits: {{{limits}}}}}\n")
}

/// The project's root: where the seed and the built binaries are.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package tests lies in the project")
}

/// The `app.*.port` values of the seed's inventory, ascending: where the NodePorts are.
pub fn seed_ports() -> Result<Vec<u16>> {
    #[derive(serde::Deserialize)]
    struct App {
        port: u16,
    }
    #[derive(serde::Deserialize)]
    struct Inventory {
        app: BTreeMap<String, App>,
    }
    let path = project().join("examples/seed/inventory.yml");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let inventory: Inventory =
        serde_yaml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let mut ports: Vec<u16> = inventory.app.values().map(|app| app.port).collect();
    ports.sort_unstable();
    Ok(ports)
}
