//! Network address translation for inside hosts: who is seen as whom (RFC 4787, RFC 5382), and what the programs are
//! told of it.
//!
//! A translated session is a flow like any other ([`crate::flow::Flow::NAT`]). What is here outlives the session: the
//! *mapping* of an inside host's socket to an outside one, the same whoever is on the other end (endpoint-independent,
//! RFC 4787 REQ-1).

use crate::limits;
use crate::net::{Port, V4};

/// One end of a mapping: the key of `MAPPINGS`, where each mapping has two entries.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End<A> {
    /// Its address.
    pub address: A,
    /// Its port, or ICMP's query identifier.
    pub port: Port,
    /// IP protocol: 1 ICMP, 6 TCP, 17 UDP.
    pub protocol: u8,
    /// [`End::INSIDE`] or [`End::OUTSIDE`].
    pub side: u8,
}

impl<A> End<A> {
    /// An inside host's own socket. The value says what it is seen as.
    pub const INSIDE: u8 = 0;
    /// What the outside sees: the NAT address and a port of it. Who inserts it first, has it.
    pub const OUTSIDE: u8 = 1;
}

/// The other end: the value of `MAPPINGS`. A socket of this host that sends with the NAT address is mapped to itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping<A> {
    /// Its address.
    pub address: A,
    /// Its port.
    pub port: Port,
    /// Of an inside end: the tick of its last packet. Of an outside one: the tick in which it was given out.
    pub seen: u16,
}

/// Someone outside to whom a mapping has sent: the key of `PERMISSIONS`, for address-dependent filtering
/// (RFC 4787 REQ-8).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission<A> {
    /// The mapping's outside address.
    pub outside: A,
    /// Who may answer.
    pub remote: A,
    /// The mapping's outside port.
    pub port: Port,
    /// IP protocol.
    pub protocol: u8,
    /// Zero: keys are compared byte by byte.
    pub pad: u8,
}

/// A mapping begins or ends: an entry of the ring buffer `MAPPED` (RFC 6888 REQ-12).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped<A> {
    /// The inside end.
    pub inside: End<A>,
    /// The outside end.
    pub outside: End<A>,
    /// [`Mapped::BEGINS`] or [`Mapped::ENDS`].
    pub what: u32,
}

impl<A> Mapped<A> {
    /// `what`: it was given out.
    pub const BEGINS: u32 = 1;
    /// `what`: a program has taken it over, because it was over.
    pub const ENDS: u32 = 2;
}

/// What the daemon tells the programs of translation: the only entry of the array `NAT`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nat<A> {
    /// [`Nat::ON`] and its siblings.
    pub flags: u32,
    /// Index of the interface that inside hosts are behind (`input_interface`); its prefixes are in `NETWORKS`.
    pub inside: u32,
    /// Index of the interface by which they leave (`output_interface`).
    pub outside: u32,
    /// Our own address inside: what inside hosts are told comes from it.
    pub own: A,
    /// The NAT addresses; each inside host has always the same one (RFC 4787 REQ-2).
    pub addresses: [A; limits::NAT_ADDRESSES as usize],
    /// How many they are.
    pub address_count: u32,
    /// Mappings that one inside host may hold (RFC 6888 REQ-4).
    pub ports_per_host: u32,
    /// Who may answer a TCP mapping: [`Nat::BY_FLOW`] and its siblings.
    pub tcp_filtering: u8,
    /// The same for UDP.
    pub udp_filtering: u8,
    /// Idle seconds of an established TCP flow.
    pub tcp_established_s: u16,
    /// Of a TCP handshake, and of a closed TCP flow.
    pub tcp_transitory_s: u16,
    /// Of a UDP flow that both sides have used.
    pub udp_s: u16,
    /// Of UDP that nobody has answered.
    pub udp_unreplied_s: u16,
    /// Of an ICMP query.
    pub icmp_s: u16,
    /// Of any other protocol.
    pub other_s: u16,
    /// The longest of all: without a daemon a mapping is over after it.
    pub longest_s: u16,
}

impl Nat<V4> {
    /// Nothing is set.
    pub const NONE: Self = Nat {
        flags: 0,
        inside: 0,
        outside: 0,
        own: [0; 4],
        addresses: [[0; 4]; limits::NAT_ADDRESSES as usize],
        address_count: 0,
        ports_per_host: 0,
        tcp_filtering: 0,
        udp_filtering: 0,
        tcp_established_s: 0,
        tcp_transitory_s: 0,
        udp_s: 0,
        udp_unreplied_s: 0,
        icmp_s: 0,
        other_s: 0,
        longest_s: 0,
    };
}

impl<A> Nat<A> {
    /// `flags`: this host translates.
    pub const ON: u32 = 1;
    /// `flags`: it holds the NAT address now; otherwise new flows are dropped.
    pub const ACTIVE: u32 = 2;
    /// `flags`: where no port is free, one may be given to two hosts that speak with different ones (RFC 7857 3).
    pub const OVERLOADS: u32 = 4;
    /// `flags`: mappings are told to the daemon, which logs them.
    pub const LOGS: u32 = 8;
    /// `flags`: it has entries in `ACCESS`, under the id [`Nat::ACCESS_ID`].
    pub const GUARDED: u32 = 16;
    /// `flags`: inside hosts that no entry names are denied.
    pub const DENIES_REST: u32 = 32;

    /// Stands for a route's id in `ACCESS`, where no route has it.
    pub const ACCESS_ID: u32 = 0;

    /// Filtering: only whom a flow speaks with, address and port.
    pub const BY_FLOW: u8 = 0;
    /// Filtering: whoever has an address that the mapping has sent to.
    pub const BY_ADDRESS: u8 = 1;
    /// Filtering: anybody.
    pub const OPEN: u8 = 2;
}
