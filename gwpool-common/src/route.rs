//! Routes and backends: what a new connection is decided by.
//!
//! Ids are the daemon's, stable over reloads and restarts. Leaves are written before roots: counters and backends,
//! then slots, then the route, then its listeners; so a packet in flight never meets a name that is not there.

use crate::limits::PORT_WORDS;
use crate::net::Port;

/// Where a route listens: the key of `LISTENERS`.
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

/// Who listens there: the value of `LISTENERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// The route's id.
    pub route: u32,
    /// What is added to the backend's port: the place in a range of ports that is forwarded onto as wide a range.
    pub port_offset: u16,
    /// Zero.
    pub pad: u16,
}

/// Which ports flows of routes may have: the array `FLOW_PORTS`, a bit for each port that a route listens on or has
/// listened on, then one for each that a backend answers from or has. A bit is set before what opens such flows is
/// written, and stays: flows outlive that. So a packet with neither bit is no flow's, and opens none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowPorts {
    /// Destination ports of what clients send.
    Listens,
    /// Source ports of what backends send.
    Answers,
}

impl FlowPorts {
    /// The port's place: entry and bit.
    #[inline(always)]
    pub const fn place(self, port: u16) -> (u32, u64) {
        let first = match self {
            FlowPorts::Listens => 0,
            FlowPorts::Answers => PORT_WORDS,
        };
        (first + port as u32 / 64, 1 << (port % 64))
    }
}

/// A prefix that a route allows or denies: the data of a key of the trie `ACCESS`, of which the route's 32 bits count
/// into the prefix length. The value is 1 for allowed, 0 for denied; the most specific prefix holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access<A> {
    /// The route's id.
    pub route: u32,
    /// First address of the prefix.
    pub prefix: A,
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
    /// [`Route::TURNS`] and its siblings.
    pub balance: u8,
    /// How many backends may fail a handshake before its client hears of it.
    pub redispatches: u8,
    /// Seconds after which a SYN that comes again goes to another backend.
    pub connect_s: u16,
}

impl Route {
    /// New connections are forwarded; otherwise they go to the local stack.
    pub const ENABLED: u32 = 1;
    /// This host is one of the route's backends: what a peer sends here is for us.
    pub const SELF_BACKEND: u32 = 2;
    /// Switched off by hand: for the daemon, which leaves [`Route::ENABLED`] out whatever the plan says.
    pub const SWITCHED_OFF: u32 = 4;
    /// It has entries in `ACCESS`.
    pub const GUARDED: u32 = 8;
    /// Clients that no entry names are denied.
    pub const DENIES_REST: u32 = 16;

    /// `balance`: the run in turn (roundrobin, static-rr); each backend as often as its weight says.
    pub const TURNS: u8 = 0;
    /// `balance`: the backend with the fewest flows for its weight; the run has each once.
    pub const LEAST_CONN: u8 = 1;
    /// `balance`: the run is a table of hashes; a client's address has always the same place in it.
    pub const SOURCE: u8 = 2;
    /// `balance`: of two places of the run, drawn by lot, the backend with fewer flows for its weight.
    pub const RANDOM: u8 = 3;
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
    /// Its weight: leastconn and random divide by it.
    pub weight: u16,
    /// Idle seconds after which an established flow of it is over; 0: as its protocol has it.
    pub idle_s: u16,
}

impl<A> Backend<A> {
    /// The backend is this host.
    pub const SELF: u16 = 1;
    /// `source: preserve`: it sees the client's address and answers by way of this gateway.
    pub const PRESERVE: u16 = 2;
    /// Taken out by hand: no new connection, live ones stay (`backend drain`). For the daemon, which leaves it out of
    /// the run.
    pub const DRAIN: u16 = 4;
    /// Taken out by hand for maintenance (`backend maint`). For the daemon, likewise.
    pub const MAINT: u16 = 8;
    /// Its weight was set by hand (`weight`) and holds against the plan's.
    pub const WEIGHED: u16 = 16;
}

/// How many flows there are of something (a backend's, a protocol's): the value of the arrays `LOADS` and `SHARES`.
/// The programs move one word, the daemon's census sets the other, so that neither has to stop the other.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// What the programs have added and taken away since the map was made; atomic, wraps.
    pub moved: u64,
    /// What the daemon's last census found, less `moved` at that time; wraps.
    pub base: u64,
    /// Backends: 1 + the tick in which every port towards it was taken. Nobody searches again in that tick.
    pub exhausted: u64,
}

impl Load {
    /// How many there are now.
    pub const fn flows(self) -> u64 {
        let flows = self.base.wrapping_add(self.moved) as i64;
        if flows < 0 { 0 } else { flows as u64 }
    }
}

/// What one client holds of the established tier: the value of `SOURCES`, keyed by its address.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Flows established since the entry was made; atomic, wraps.
    pub moved: u32,
    /// What the daemon's last census found, less `moved` at that time; wraps.
    pub base: u32,
    /// The tick that `fresh` is of.
    pub tick: u32,
    /// Flows established in that tick.
    pub fresh: u32,
}

impl Source {
    /// Of who holds nothing.
    pub const NONE: Self = Source {
        moved: 0,
        base: 0,
        tick: 0,
        fresh: 0,
    };

    /// How many it holds now.
    pub const fn flows(self) -> u32 {
        let flows = self.base.wrapping_add(self.moved) as i32;
        if flows < 0 { 0 } else { flows as u32 }
    }
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
    /// Handshakes that went on to another backend because it refused or was silent. Of id 0, translation: flows that
    /// share another host's port.
    pub redispatches: u64,
}
