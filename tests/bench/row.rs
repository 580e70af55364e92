//! The ground of everything that is measured on the wire: a client, a gateway and the backends, in a row.
//!
//! ```text
//!   client                     gateway                        backends
//!   c0 10.77.1.2 ---- gateway-network 10.77.1.1
//!                            box-network 10.77.2.1 ---- b0 10.77.2.11 to .16
//! ```
//!
//! Every contestant has a row of its own, so that all stand side by side. What it forwards by is not the row's business,
//! but for the daemon, which the row starts on an ordinary inventory and looks after.

use anyhow::Result;
use gwpool_harness::net::fabric::{self, Datapath};
use gwpool_harness::net::gateway::{Daemon, Gateway};
use gwpool_harness::net::namespace::{Namespace, output};
use gwpool_harness::net::run::Run;
use gwpool_harness::net::site::Site;
use gwpool_harness::net::world::{self, World};
use std::net::Ipv4Addr;

/// The client's interface, and its first address; its others are [`CLIENTS`].
pub const CLIENT_LINK: &str = "c0";
/// See [`CLIENT_LINK`].
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
/// More clients than one, behind the client (RFC 2544's range for benchmarks): a /15.
pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// The gateway's interface to the client, and its address there: where clients ask.
pub const FRONT_LINK: &str = "gateway-network";
/// See [`FRONT_LINK`].
pub const FRONT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
/// The gateway's interface to the backends, and its address there: whom the backends see.
pub const BACK_LINK: &str = "box-network";
/// See [`BACK_LINK`].
pub const BACK: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 1);
/// The backends' interface.
pub const BACKENDS_LINK: &str = "b0";
/// The backends, all on that interface.
pub const BACKENDS: [Ipv4Addr; 6] = [
    Ipv4Addr::new(10, 77, 2, 11),
    Ipv4Addr::new(10, 77, 2, 12),
    Ipv4Addr::new(10, 77, 2, 13),
    Ipv4Addr::new(10, 77, 2, 14),
    Ipv4Addr::new(10, 77, 2, 15),
    Ipv4Addr::new(10, 77, 2, 16),
];

/// The gateway's name in inventories.
const GATEWAY: &str = "gateway-1";

/// What the two ends of the row leave to their network cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// What veth has by default: checksums are not finished, and frames are larger than the MTU.
    Defaults,
    /// Nothing: finished checksums, frames of MTU size, as a real network card would deliver them.
    MtuSized,
}

/// One contestant's row; taken down on drop.
pub struct Row {
    /// Who asks.
    pub client: Namespace,
    /// Who forwards.
    pub gateway: Gateway,
    /// Who answers.
    pub backends: Namespace,
    daemon: Option<Daemon>,
    _run: Run,
}

impl Row {
    /// Namespaces, cables, addresses and routes; the kernel forwards, and nothing else is done on the gateway.
    pub fn up(endpoints: Endpoints) -> Result<Row> {
        Row::laid(endpoints, Row::lay)
    }

    /// The same ends on one cable: there is no gateway between them, and no [`Row::links`] of its.
    pub fn direct(endpoints: Endpoints) -> Result<Row> {
        Row::laid(endpoints, Row::lay_one)
    }

    fn laid(endpoints: Endpoints, lay: fn(&Row) -> Result<()>) -> Result<Row> {
        let run = Run::claim(&World::fresh_id("b"))?;
        let site = Site::of(run.id());
        let host = |name| fabric::host(&site, name);
        let row = Row {
            client: host("client")?,
            gateway: Gateway {
                name: GATEWAY.into(),
                namespace: host(GATEWAY)?,
                directory: site.directory.join(GATEWAY),
                addresses_file: site.directory.join("addresses.yml"),
                gateway_network: FRONT,
                box_network: BACK,
            },
            backends: host("backends")?,
            daemon: None,
            _run: run,
        };
        lay(&row)?;
        row.furnish_ends(endpoints)?;
        Ok(row)
    }

    fn lay(&self) -> Result<()> {
        let gateway = &self.gateway.namespace;
        let (client, front) = (format!("{CLIENT}/24"), format!("{FRONT}/24"));
        fabric::wire(
            (&self.client, CLIENT_LINK, &client),
            (gateway, FRONT_LINK, &front),
        )?;
        let (back, backend) = (format!("{BACK}/24"), format!("{}/24", BACKENDS[0]));
        fabric::wire(
            (gateway, BACK_LINK, &back),
            (&self.backends, BACKENDS_LINK, &backend),
        )?;
        self.client
            .ip(&[format!("route add default via {FRONT}")])?;
        gateway.ip(&[format!("route add {CLIENTS}/15 via {CLIENT}")])?;
        let others = BACKENDS[1..].iter();
        let mut lines: Vec<String> = others
            .map(|address| format!("addr add {address}/24 dev {BACKENDS_LINK}"))
            .collect();
        lines.push(format!("route add default via {BACK}"));
        self.backends.ip(&lines)
    }

    fn lay_one(&self) -> Result<()> {
        let (client, backend) = (format!("{CLIENT}/24"), format!("{}/24", BACKENDS[0]));
        fabric::wire(
            (&self.client, CLIENT_LINK, &client),
            (&self.backends, BACKENDS_LINK, &backend),
        )?;
        self.ends(|host, link| host.ip(&[format!("route add default dev {link}")]))
    }

    /// What frames are to be like, and what many short connections need at both ends. The gateway keeps the kernel's
    /// defaults, and so does everybody's range of ports: with one that is wider than the gateway's own, half of a
    /// client's ports are kept by gwpool and meet those that it gives to the other half, in the server's TIME_WAIT.
    fn furnish_ends(&self, endpoints: Endpoints) -> Result<()> {
        self.ends(|host, link| {
            if endpoints == Endpoints::MtuSized {
                let what = ["tx", "off", "tso", "off", "gso", "off", "gro", "on"];
                offload(host, link, &what)?;
            }
            host.sysctl("net/ipv4/ip_forward", "0")?;
            host.sysctl("net/ipv4/tcp_tw_reuse", "1")?;
            host.sysctl("net/ipv4/tcp_max_syn_backlog", "8192")?;
            host.sysctl("net/core/somaxconn", "8192")
        })
    }

    /// The same at both ends of the row.
    fn ends(&self, mut work: impl FnMut(&Namespace, &str) -> Result<()>) -> Result<()> {
        work(&self.client, CLIENT_LINK)?;
        work(&self.backends, BACKENDS_LINK)
    }

    /// Every interface of the row, with its namespace, from the client to the backends.
    pub fn links(&self) -> [(&Namespace, &'static str); 4] {
        let gateway = &self.gateway.namespace;
        [
            (&self.client, CLIENT_LINK),
            (gateway, FRONT_LINK),
            (gateway, BACK_LINK),
            (&self.backends, BACKENDS_LINK),
        ]
    }

    /// Starts the daemon on this inventory, which names gateway-1 and the datapath, and waits until it serves.
    pub fn serve(&mut self, datapath: Datapath, inventory: &str) -> Result<()> {
        fabric::furnish(&self.gateway)?;
        let mut daemon = self.gateway.start_on(datapath, inventory)?;
        let stats = daemon.ready()?;
        self.daemon = Some(daemon);
        world::check_modes(datapath, &stats)
    }
}

/// The inventory of a gateway whose routes lead to all backends, each by the port it listens at: `("tcp", 80)`; and its
/// `gwpool.limits`, where they are not the defaults.
pub fn forwarding(datapath: Datapath, routes: &[(&str, u16)], limits: &str) -> String {
    let addresses = BACKENDS.map(|address| address.to_string()).join(", ");
    let lines: String = routes
        .iter()
        .map(|(mode, port)| {
            format!(
                "    {mode}-{port}: {{mode: {mode}, address: \"*\", port: {port}, \
                 destination: {{addresses: [{addresses}], port: {port}}}}}\n"
            )
        })
        .collect();
    inventory(datapath, &lines, limits)
}

/// The inventory of a gateway with these routes, a line each, and these `gwpool.limits`.
pub fn inventory(datapath: Datapath, routes: &str, limits: &str) -> String {
    format!(
        "gateways: {{hosts: {{{GATEWAY}: {{{BACK_LINK}: {{address: {BACK}}}}}}}}}\n\
         proxies:\n  target: {{group: gateways}}\n  routes:\n{routes}\
         gwpool: {{datapath: {}, limits: {{{limits}}}}}\n",
        datapath.name()
    )
}

/// The inventory of a gateway that translates the client's side on its way to the backends', and what comes from these
/// `sources` by it.
pub fn translating(datapath: Datapath, sources: &str) -> String {
    format!(
        "nat:\n  vars: {{input_interface: {FRONT_LINK}, output_interface: {BACK_LINK}}}\n  \
         hosts: {{{GATEWAY}: {{{FRONT_LINK}: {{address: {FRONT}}}, {BACK_LINK}: {{address: {BACK}}}}}}}\n\
         gwpool: {{datapath: {}, nat: {{sources: [{sources}]}}}}\n",
        datapath.name()
    )
}

/// `ethtool -K`.
pub fn offload(host: &Namespace, link: &str, what: &[&str]) -> Result<()> {
    let mut ethtool = host.command("ethtool");
    output(ethtool.args(["-K", link]).args(what)).map(drop)
}
