//! Routes and backends: what a new connection is decided by.
//!
//! Ids are the daemon's, stable over reloads and restarts. Leaves are written before roots: counters and backends,
//! then slots, then the route, then its listeners; so a packet in flight never meets a name that is not there.

use crate::net::Port;

/// Where a route listens: the key of `LISTENERS`; the value is the route's id.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listener<A> {
    /// The address, or all zeros for `*`: every own address with [`crate::net::Address::LISTEN`].
    pub address: A,
    /// The port.
    pub port: Port,
    /// IP protocol.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}

/// A route: the value of the hash `ROUTES`, keyed by route id (a hash, so that an update is seen whole).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// [`Route::ENABLED`] and its siblings.
    pub flags: u32,
    /// First entry of its run in the array `SLOTS`: backend ids in the order they take turns.
    pub slot_first: u32,
    /// Length of the run; 0: no live backend.
    pub slot_count: u32,
}

impl Route {
    /// New connections are forwarded; otherwise they go to the local stack.
    pub const ENABLED: u32 = 1;
    /// This host is one of the route's backends: what a peer sends here is for us.
    pub const SELF_BACKEND: u32 = 2;
    /// Switched off by hand: for the daemon, which leaves [`Route::ENABLED`] out whatever the plan says.
    pub const SWITCHED_OFF: u32 = 4;
}

/// Bytes of a route's name in `ROUTE_NAMES`, zero-padded: the pins carry the ids' meaning over a restart.
pub const ROUTE_NAME_BYTES: usize = 64;

/// A backend: the value of the array `BACKENDS`, indexed by backend id. Id 0 is never used.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend<A> {
    /// Its address.
    pub address: A,
    /// Our own address towards it: the source that full NAT gives.
    pub source: A,
    /// Its port.
    pub port: Port,
    /// [`Backend::SELF`].
    pub flags: u16,
    /// The route it belongs to. A slot that names another route's backend is stale and not used.
    pub route: u32,
}

impl<A> Backend<A> {
    /// The backend is this host.
    pub const SELF: u16 = 1;
}

/// What a backend has carried, one CPU's share: the value of the per-CPU array `COUNTERS`, indexed by backend id.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections given to it: turns taken, not handshakes completed.
    pub connections: u64,
    /// Packets sent to it.
    pub to_backend_packets: u64,
    /// IP bytes sent to it.
    pub to_backend_bytes: u64,
    /// Packets sent to clients on its behalf.
    pub to_client_packets: u64,
    /// IP bytes sent to clients on its behalf.
    pub to_client_bytes: u64,
}
