//! What one node has to do, validated and defaulted: no template, no group, no YAML left in it.
//!
//! What only the running host knows (interface indexes, its own addresses) is not here: see `host`.
#![forbid(unsafe_code)]

use super::nat::Nat;
use gwpool_common::limits;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Everything `config` has to say about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The host's name in the inventory.
    pub node: String,
    /// How the programs are attached.
    pub datapath: Datapath,
    /// The networks this node serves, in the order of their names.
    pub networks: Vec<Network>,
    /// Routes in the order of their names; empty on a node outside `proxies.target.group`.
    pub routes: Vec<Route>,
    /// The other hosts of `proxies.target.group`, on the routes' destination networks.
    pub peers: Vec<Peer>,
    /// `gwpool.undeclared`: what becomes of new connections to ports that no route declares.
    pub undeclared: Option<Undeclared>,
    /// Translation, on a node that has `output_interface` and `input_interface`.
    pub nat: Option<Nat>,
    /// Table sizes.
    pub limits: Limits,
}

/// `gwpool.datapath`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Datapath {
    /// Native XDP where the driver has it and no partial checksum can occur, else TC.
    #[default]
    Auto,
    /// Native XDP or an error.
    Native,
    /// XDP in the kernel's generic mode: only when asked for.
    Generic,
    /// TC (tcx, or clsact before Linux 6.6).
    Tc,
}

/// A network of the inventory and the interface that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The inventory's word for it.
    pub name: String,
    /// The interface's name: the same, unless `gwpool.interfaces` maps it.
    pub interface: String,
    /// Some route's destination network, or `input_interface`: its prefix may come in by this interface only.
    pub inner: bool,
    /// The address the inventory gives this node there; else the interface's first.
    pub address: Option<Ipv4Addr>,
    /// The VIPs of this node's group there: here or on another host, and never this node's own address.
    pub vips: Vec<Ipv4Addr>,
}

impl Plan {
    /// The network with this name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }
}

/// `gwpool.undeclared`: a range of ports (Kubernetes' NodePorts) of which only declared ones should be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeclared {
    /// The first port.
    pub port: u16,
    /// How many.
    pub ports: u16,
    /// The network by which they are not to be reached.
    pub network: String,
    /// `reject` them, or let them `pass` to the local stack (and say so at `check`).
    pub reject: bool,
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// IP protocol 6.
    Tcp,
    /// IP protocol 17.
    Udp,
}

impl Protocol {
    /// The IP protocol's number.
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    /// `tcp` or `udp`.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// One declared way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its key under `proxies.routes`.
    pub name: String,
    /// As written: `http`, `tcp` or `udp`. `http` is forwarded per connection.
    pub mode: String,
    /// What it is on the wire.
    pub protocol: Protocol,
    /// The addresses it listens on.
    pub listen: Vec<ListenAddress>,
    /// The port it listens on, or the first of a range.
    pub port: u16,
    /// How many ports it listens on.
    pub ports: u16,
    /// A range onto a range: the second listen port goes to the backend's port + 1, and so on. Else all go to one.
    pub shifts: bool,
    /// How a new connection's backend is chosen.
    pub balance: Balance,
    /// `source: preserve`: backends see the client's address, and answer by way of this gateway.
    pub preserve: bool,
    /// `allow` and `deny`.
    pub access: Access,
    /// `timeout`.
    pub timeout: Timeout,
    /// How many backends may fail a handshake before its client hears of it (HAProxy's redispatch).
    pub redispatches: u8,
    /// The network its backends are reached by.
    pub network: String,
    /// In the order they take turns; how many each takes in a cycle is its weight.
    pub backends: Vec<Backend>,
    /// `enabled: false`: new connections go to the local stack.
    pub enabled: bool,
}

/// `balance`, by HAProxy's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// `roundrobin`, `static-rr`: in turn, as often as the weights say.
    #[default]
    Turns,
    /// `leastconn`: the one with the fewest connections for its weight.
    LeastConn,
    /// `source`: by the client's address, consistently: one backend more moves one client in n.
    Source,
    /// `random`: the less loaded of two drawn by lot.
    Random,
}

impl Balance {
    /// HAProxy's word.
    pub const fn name(self) -> &'static str {
        match self {
            Balance::Turns => "roundrobin",
            Balance::LeastConn => "leastconn",
            Balance::Source => "source",
            Balance::Random => "random",
        }
    }
}

/// Who may use a route: the most specific prefix of both lists holds; with `allow`, nobody whom no list names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Allowed prefixes.
    pub allow: Vec<Ipv4Net>,
    /// Denied prefixes.
    pub deny: Vec<Ipv4Net>,
}

/// A route's timers, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// `connect`: a SYN that comes again after it goes to another backend.
    pub connect_s: u16,
    /// `tunnel`, else the longer of `client` and `server`: how long an established flow may be idle; `None`: as its
    /// protocol has it.
    pub idle_s: Option<u16>,
}

/// `*` or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenAddress {
    /// Every address of a managed interface, and every VIP this host owns.
    Any,
    /// This address, while the host has it.
    One(Ipv4Addr),
}

/// A place a route forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The host's name in the inventory, or the address as written.
    pub name: String,
    /// Where it is. `None`: this node itself, wherever its interface says it is.
    pub address: Option<Ipv4Addr>,
    /// The port there.
    pub port: u16,
    /// Its share of new connections, beside the others of the route: see [`super::turns`]. 0: none.
    pub weight: u16,
}

/// Another host of `proxies.target.group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name in the inventory.
    pub name: String,
    /// The network on which it has the address.
    pub network: String,
    /// Its address there.
    pub address: Ipv4Addr,
}

/// `gwpool.limits`: how much each table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows in the established tier.
    pub flows: u32,
    /// Flows in the embryonic tier.
    pub embryonic: u32,
    /// Routes.
    pub routes: u32,
    /// Backends over all routes.
    pub backends: u32,
    /// Listen addresses times ports over all routes.
    pub listeners: u32,
    /// Prefixes in all `allow` and `deny`.
    pub access: u32,
    /// Clients whose share is counted.
    pub sources: u32,
    /// Established flows one client may hold.
    pub flows_per_source: u32,
    /// Flows one client may establish in a second.
    pub new_flows_per_source: u32,
    /// UDP flows in the established tier.
    pub udp_flows: u32,
    /// Packets a CPU makes by itself (RST, unreachable, ...) in a second.
    pub answers_per_second: u32,
    /// Fragmented packets that are remembered.
    pub fragments: u32,
    /// Mappings; none on a node that does not translate, like the next two.
    pub mappings: u32,
    /// Addresses outside that mappings remember to have sent to.
    pub permissions: u32,
    /// Inside hosts whose mappings are counted.
    pub subscribers: u32,
}

impl Default for Timeout {
    fn default() -> Self {
        Timeout {
            connect_s: limits::CONNECT_S,
            idle_s: None,
        }
    }
}

/// A route of which nothing is said: HAProxy's defaults, on no port and to nobody.
impl Default for Route {
    fn default() -> Self {
        Route {
            name: String::new(),
            mode: Protocol::Tcp.name().to_owned(),
            protocol: Protocol::Tcp,
            listen: vec![ListenAddress::Any],
            port: 0,
            ports: 1,
            shifts: false,
            balance: Balance::default(),
            preserve: false,
            access: Access::default(),
            timeout: Timeout::default(),
            redispatches: limits::REDISPATCHES,
            network: String::new(),
            backends: Vec::new(),
            enabled: true,
        }
    }
}

impl Route {
    /// The weights of its backends.
    pub fn weights(&self) -> Vec<u16> {
        self.backends.iter().map(|backend| backend.weight).collect()
    }

    /// Whether some backend has another weight than the one it gets without a word.
    pub fn is_weighted(&self) -> bool {
        self.backends.iter().any(|backend| backend.weight != 1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            flows: limits::FLOWS,
            embryonic: limits::EMBRYONIC,
            routes: limits::ROUTES,
            backends: limits::BACKENDS,
            listeners: limits::LISTENERS,
            access: limits::ACCESS,
            sources: limits::SOURCES,
            flows_per_source: limits::FLOWS / 4,
            new_flows_per_source: limits::NEW_FLOWS_PER_SOURCE,
            udp_flows: limits::FLOWS / 2,
            answers_per_second: limits::ANSWERS_PER_SECOND,
            fragments: limits::FRAGMENTS,
            mappings: limits::MAPPINGS,
            permissions: limits::PERMISSIONS,
            subscribers: limits::SUBSCRIBERS,
        }
    }
}
