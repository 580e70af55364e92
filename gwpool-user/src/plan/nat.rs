//! Translation for inside hosts, as planned: who is translated, as whom, by which ports, for how long.
//!
//! Which of the addresses this host holds now is the host's business: see [`super::translation`].
#![forbid(unsafe_code)]

use super::plan::Access;
use gwpool_common::{limits, nat};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// `gwpool.nat`, with `input_interface` and `output_interface`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// `input_interface`: the network that inside hosts are on.
    pub inside: String,
    /// `output_interface`: the network by which they leave.
    pub outside: String,
    /// Prefixes of inside hosts, beside those that the inside interface is connected to.
    pub sources: Vec<Ipv4Net>,
    /// As whom the outside sees them.
    pub seen_as: SeenAs,
    /// The ports that are given out, both ends included.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Those of them that are the host's own, and never given out.
    pub host_ports: Vec<RangeInclusive<u16>>,
    /// Mappings that one inside host may hold.
    pub ports_per_host: u32,
    /// Where no port is free, one may be given to two hosts that speak with different ones.
    pub overload: bool,
    /// Mappings are logged.
    pub log: bool,
    /// Who may answer a TCP mapping.
    pub tcp_filtering: Filtering,
    /// Who may answer a UDP mapping.
    pub udp_filtering: Filtering,
    /// How long what is idle is kept.
    pub timers: NatTimers,
    /// Which inside hosts are translated.
    pub access: Access,
}

/// Where the NAT address comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SeenAs {
    /// The VIPs that this host's group has outside: they go where the group's master is.
    Vips(Vec<Ipv4Addr>),
    /// `address`, `addresses`.
    Given(Vec<Ipv4Addr>),
    /// This host's own address outside, which stays with it.
    #[default]
    Interface,
}

/// Who may answer a mapping (RFC 4787 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// `ei`: anybody.
    None,
    /// `ad`: whoever has an address that the mapping has sent to.
    ByAddress,
    /// `apd`: only whom it speaks with, address and port.
    ByFlow,
}

/// Seconds for which what is idle is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatTimers {
    /// An established TCP flow.
    pub tcp_established_s: u16,
    /// A TCP handshake, and a closed TCP flow.
    pub tcp_transitory_s: u16,
    /// A UDP flow that both sides have used.
    pub udp_s: u16,
    /// UDP that nobody has answered.
    pub udp_unreplied_s: u16,
    /// An ICMP query.
    pub icmp_s: u16,
    /// Any other protocol.
    pub other_s: u16,
}

impl SeenAs {
    /// The addresses that the plan names.
    pub fn addresses(&self) -> &[Ipv4Addr] {
        match self {
            SeenAs::Vips(addresses) | SeenAs::Given(addresses) => addresses,
            SeenAs::Interface => &[],
        }
    }
}

impl Filtering {
    /// The inventory's word.
    pub const fn name(self) -> &'static str {
        match self {
            Filtering::None => "ei",
            Filtering::ByAddress => "ad",
            Filtering::ByFlow => "apd",
        }
    }

    /// As the programs know it.
    pub const fn number(self) -> u8 {
        match self {
            Filtering::None => nat::Nat::<()>::OPEN,
            Filtering::ByAddress => nat::Nat::<()>::BY_ADDRESS,
            Filtering::ByFlow => nat::Nat::<()>::BY_FLOW,
        }
    }
}

impl NatTimers {
    /// All of them.
    pub const fn all(&self) -> [u16; 6] {
        [
            self.tcp_established_s,
            self.tcp_transitory_s,
            self.udp_s,
            self.udp_unreplied_s,
            self.icmp_s,
            self.other_s,
        ]
    }
}

impl Default for NatTimers {
    fn default() -> Self {
        NatTimers {
            tcp_established_s: limits::TCP_ESTABLISHED_S,
            tcp_transitory_s: limits::HANDSHAKE_S,
            udp_s: limits::UDP_S,
            udp_unreplied_s: limits::UDP_UNREPLIED_S,
            icmp_s: limits::ICMP_S,
            other_s: limits::OTHER_S,
        }
    }
}

/// A host that translates between these networks, of which nothing else is said.
impl Default for Nat {
    fn default() -> Self {
        Nat {
            inside: String::new(),
            outside: String::new(),
            sources: Vec::new(),
            seen_as: SeenAs::default(),
            ports: vec![1..=u16::MAX],
            host_ports: Vec::new(),
            ports_per_host: limits::PORTS_PER_HOST,
            overload: false,
            log: false,
            tcp_filtering: Filtering::ByFlow,
            udp_filtering: Filtering::ByAddress,
            timers: NatTimers::default(),
            access: Access::default(),
        }
    }
}
