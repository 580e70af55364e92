//! Why a plan cannot be laid on this host: what was wanted, what was found, what to do.
#![forbid(unsafe_code)]

use std::net::Ipv4Addr;

/// What stands between a plan and the maps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A network's interface is not on this host.
    #[error(
        "network {network} needs the interface {interface}, which this host does not have (it has: {existing}); \
         name the right one in gwpool.interfaces.{network}"
    )]
    NoInterface {
        /// The inventory's word.
        network: String,
        /// The interface looked for.
        interface: String,
        /// Those there are.
        existing: String,
    },
    /// A destination network's interface has no IPv4 address.
    #[error(
        "the interface {interface} of network {network} has no IPv4 address: backends could not answer"
    )]
    NoAddress {
        /// The inventory's word.
        network: String,
        /// The interface.
        interface: String,
    },
    /// Inside hosts could not be told apart from others.
    #[error(
        "the interface {interface} of network {network} (input_interface) has no IPv4 address: who is inside is not known"
    )]
    NothingInside {
        /// The inventory's word.
        network: String,
        /// The interface.
        interface: String,
    },
    /// An inside prefix and an outside one have addresses in common.
    #[error(
        "the inside prefix {inside} and the outside prefix {outside} overlap, so addresses could not be told apart \
         (RFC 4787 REQ-7): renumber one, or correct the interface"
    )]
    Overlap {
        /// The inside prefix, and whose it is.
        inside: String,
        /// The outside prefix, and whose it is.
        outside: String,
    },
    /// The inventory says one address, the interface another.
    #[error(
        "the inventory gives this host {wanted} on network {network}, but the interface {interface} has {held}: \
         correct the inventory or the interface"
    )]
    AddressNotHeld {
        /// The inventory's word.
        network: String,
        /// The interface.
        interface: String,
        /// The inventory's address.
        wanted: Ipv4Addr,
        /// The interface's addresses.
        held: String,
    },
    /// A route or peer names a network the plan does not have.
    #[error("{user} is on network {network}, which is none of this host's networks")]
    UnknownNetwork {
        /// Who names it.
        user: String,
        /// The name.
        network: String,
    },
    /// A route's name does not fit its map.
    #[error("the route name {name} is longer than {limit} bytes")]
    NameTooLong {
        /// The name.
        name: String,
        /// Bytes there are.
        limit: usize,
    },
    /// A table is too small for the plan.
    #[error(
        "{table} is full: the plan needs more than {limit} entries (retired backends with live flows included); raise {key}"
    )]
    Full {
        /// The map.
        table: &'static str,
        /// Its size.
        limit: u32,
        /// What sets the size.
        key: &'static str,
    },
    /// Weights that have too little in common.
    #[error(
        "one cycle of the route {route} would have {turns} turns, more than {most}: give smaller weights, or such \
         as have more in common"
    )]
    LongCycle {
        /// The route.
        route: String,
        /// Turns it would have.
        turns: u64,
        /// Turns it may have.
        most: u64,
    },
    /// The local port range leaves nothing to translate to.
    #[error(
        "net.ipv4.ip_local_port_range is {low} {high} and leaves no port from 1024 to 65535 outside it for \
         translated connections; narrow it"
    )]
    NoPorts {
        /// Its first port.
        low: u16,
        /// Its last port.
        high: u16,
    },
}
