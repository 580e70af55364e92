//! Every bound that both sides keep, with its arithmetic, and the settings the daemon writes for the programs.

/// Default capacity of the established tier, in flows (`gwpool.limits.flows`); each is two entries.
pub const FLOWS: u32 = 262_144;
/// Default capacity of the embryonic tier, in flows (`gwpool.limits.embryonic`).
pub const EMBRYONIC: u32 = 65_536;
/// Default number of routes (`gwpool.limits.routes`).
pub const ROUTES: u32 = 1_024;
/// Default number of backends over all routes, retired ones with live flows included (`gwpool.limits.backends`).
pub const BACKENDS: u32 = 8_192;
/// Least number of turn slots: a quarter of them is for what runs (64 tables of `balance: source`, or 65,536 turns), as
/// a reload writes beside what runs. 1 MiB. Four times `gwpool.limits.backends` if that is more.
pub const SLOTS: u32 = 262_144;
/// Default number of listeners: routes x addresses x ports (`gwpool.limits.listeners`).
pub const LISTENERS: u32 = 4_096;
/// Default number of prefixes in all routes' `allow` and `deny` (`gwpool.limits.access`).
pub const ACCESS: u32 = 4_096;
/// Default number of clients whose share of the established tier is counted (`gwpool.limits.sources`); the one that
/// was silent longest gives way.
pub const SOURCES: u32 = 65_536;
/// Default number of mappings (`gwpool.limits.mappings`); `MAPPINGS` has two entries a mapping, one in all where the
/// host does not translate.
pub const MAPPINGS: u32 = 131_072;
/// Default number of addresses outside that mappings remember to have sent to (`gwpool.limits.permissions`); the oldest
/// give way.
pub const PERMISSIONS: u32 = 131_072;
/// Default number of inside hosts whose mappings are counted (`gwpool.limits.subscribers`); the one that was silent
/// longest gives way.
pub const SUBSCRIBERS: u32 = 65_536;
/// Most NAT addresses.
pub const NAT_ADDRESSES: u32 = 8;
/// Protocols whose ports are given out: TCP, UDP, ICMP's query identifiers.
pub const NAT_PROTOCOLS: u32 = 3;
/// Words of 64 ports each that say of one address and protocol which are taken.
pub const PORT_WORDS: u32 = 65_536 / 64;
/// Words that say which of those are full.
pub const FULL_WORDS: u32 = PORT_WORDS / 64;
/// Entries of `FLOW_PORTS`: ports that are listened on, then those that backends answer from.
pub const FLOW_PORTS: u32 = 2 * PORT_WORDS;
/// Entries of `PORTS`.
pub const PORTS: u32 = NAT_ADDRESSES * NAT_PROTOCOLS * (PORT_WORDS + FULL_WORDS);
/// Ports that are tried for one new mapping by the hint of `PORTS`, before all are looked at.
pub const PORT_TRIES: u32 = 16;
/// Sockets of this host whose bound ports are known by bind(2), and ports that they have; of others only what the
/// kernel's socket tables say.
pub const BOUND: u32 = 65_536;
/// Default of `gwpool.nat.ports_per_host`: half of an address.
pub const PORTS_PER_HOST: u32 = 32_256;
/// The ring buffer by which mappings reach the daemon's log, bytes.
pub const MAPPED_BYTES: u32 = 1 << 20;
/// Own and peer addresses.
pub const ADDRESSES: u32 = 4_096;
/// Managed interfaces.
pub const INTERFACES: u32 = 64;
/// Guarded prefixes; the programs walk the whole array for a new flow.
pub const NETWORKS: u32 = 8;
/// Next hops; a flow's index is 16 bits. When all are taken, packets ask the kernel each time.
pub const NEXT_HOPS: u32 = 4_096;
/// Places a next hop may stand in: the programs probe this many entries from its hash.
pub const NEXT_HOP_PROBES: u32 = 8;
/// Arrays with one entry.
pub const ONE: u32 = 1;
/// Places for packet counts; [`crate::reason::Reason::ALL`] fits with room for the next ones.
pub const REASONS: u32 = 64;
/// IP protocols that the established tier is counted by: TCP and UDP, see `SHARES`.
pub const PROTOCOLS: u32 = 2;
/// Places of a run that leastconn looks at for one new flow, beginning with the one whose turn it is.
pub const BALANCE_LOOKS: u32 = 256;
/// Default of `gwpool.limits.new_flows_per_source`, in flows a second.
pub const NEW_FLOWS_PER_SOURCE: u32 = 2_000;
/// Default of `gwpool.limits.answers_per_second`: packets that one CPU makes by itself (RST, unreachable, ...).
pub const ANSWERS_PER_SECOND: u32 = 1_000;
/// Default number of fragmented packets that are remembered (`gwpool.limits.fragments`); the oldest give way.
pub const FRAGMENTS: u32 = 8_192;
/// What a first fragment has said holds for this long, seconds (RFC 791 3.2: a reassembly timer begins at 15).
pub const FRAGMENT_S: u16 = 15;
/// The longest frame that can be held until its first fragment comes; a longer one is the kernel's.
pub const HELD_FRAME_BYTES: usize = 2_040;
/// The ring buffer by which such frames reach the daemon, bytes: 512 of them. When it is full they are the kernel's.
pub const HELD_BYTES: u32 = 1 << 20;
/// Fragments that the daemon holds at a time; the oldest are given up.
pub const HELD_FRAMES_MAX: usize = 4_096;
/// Bytes of them.
pub const HELD_BYTES_MAX: usize = 4 << 20;
/// How long the daemon holds one, milliseconds: out of order is late by a round trip, not by seconds.
pub const HELD_MS: u64 = 2_000;
/// Fragments that the daemon takes from the ring buffer in one round of [`HELD_ROUND_MS`].
pub const HELD_TAKEN: usize = 512;
/// First fragments that it looks for in one round.
pub const HELD_LOOKS: usize = 1_024;
/// Time between its rounds, milliseconds: what bounds the work that a flood can make it do.
pub const HELD_ROUND_MS: u64 = 10;
/// The packet mark by which the TC program beside XDP knows a frame that the daemon sends in again ("gwpl").
pub const MARK_AGAIN: u32 = 0x6777_706c;
/// Backends that a handshake may be refused by, or wait for in vain, before its client hears of it.
pub const REDISPATCHES: u8 = 3;
/// Default of a route's `timeout.connect`, seconds: a SYN that comes again after it goes to another backend. SYNs come
/// again after 1, 3 and 7 s (RFC 6298 2): the second of them, whatever the tick.
pub const CONNECT_S: u16 = 2;
/// Backend ids are 24 bits in a flow.
pub const BACKENDS_MAX: u32 = 1 << 24;

/// TCP established, seconds idle (RFC 5382 REQ-5: at least 2 h 4 min).
pub const TCP_ESTABLISHED_S: u16 = 7_440;
/// TCP after FIN both ways or RST, seconds idle (RFC 5382 REQ-5, RFC 7857 2.1: transitory 4 min).
pub const TCP_CLOSING_S: u16 = 240;
/// UDP that both sides have used, seconds idle (RFC 4787 REQ-5: 5 min recommended).
pub const UDP_S: u16 = 300;
/// The same while the established tier is more than nine tenths full.
pub const TCP_CLOSING_HURRIED_S: u16 = 10;
/// A TCP handshake, seconds idle (RFC 5382 REQ-5: transitory 4 min).
pub const HANDSHAKE_S: u16 = 240;
/// UDP without an answer, seconds idle (RFC 4787 REQ-5: at least 2 min).
pub const UDP_UNREPLIED_S: u16 = 120;
/// An ICMP query, seconds idle (RFC 5508 REQ-2: at least 1 min).
pub const ICMP_S: u16 = 60;
/// Any other protocol, seconds idle.
pub const OTHER_S: u16 = 300;
/// Longest timer that 16 bits of ticks can tell apart, seconds.
pub const TIMER_MAX_S: u16 = 43_200;

/// What the daemon tells the programs: the only entry of the array `SETTINGS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Moves whenever an address, a route, a link or a neighbour's MAC changed: next hops are asked for again.
    pub epoch: u32,
    /// Start of the port search, random, so that ports cannot be guessed (RFC 6056).
    pub port_seed: u32,
    /// A tick is `jiffies >> tick_shift`, the shift that comes nearest above one second (256 jiffies at 250 Hz).
    /// The low 16 bits are kept: they wrap after 18 hours.
    pub tick_shift: u32,
    /// Ticks in 1024 seconds: turns the timers above into ticks.
    pub ticks_per_1024_s: u32,
    /// First port of the range below `net.ipv4.ip_local_port_range`, host order.
    pub port_low_first: u16,
    /// Ports in it.
    pub port_low_count: u16,
    /// First port of the range above it.
    pub port_high_first: u16,
    /// Ports in it.
    pub port_high_count: u16,
    /// The smallest prime that is not below the number of ports in both ranges: whatever the stride, a walk modulo a
    /// prime comes by every port.
    pub port_modulus: u32,
    /// Established flows one client may hold (`gwpool.limits.flows_per_source`).
    pub flows_per_source: u32,
    /// Flows of one client that may be established in one tick (`gwpool.limits.new_flows_per_source`).
    pub new_flows_per_source: u32,
    /// UDP flows that the established tier takes: one packet after an answer proves less than a handshake.
    pub udp_flows: u32,
    /// Packets that one CPU makes by itself in one tick.
    pub answers_per_tick: u32,
    /// The interface by which undeclared ports are refused; 0: they pass.
    pub undeclared_interface: u32,
    /// First of the undeclared ports, host order.
    pub undeclared_first: u16,
    /// How many they are.
    pub undeclared_count: u16,
    /// Idle seconds after which a closed TCP flow is over: [`TCP_CLOSING_S`] or [`TCP_CLOSING_HURRIED_S`].
    pub closing_s: u16,
    /// The shortest of all timers of established flows, seconds: who was seen more lately asks no further.
    pub shortest_s: u16,
    /// [`Settings::PRESERVES`].
    pub flags: u32,
    /// One bit of 64 for each address that this host has or had, by its hash: most packets past it are known by that.
    pub own: [u32; 2],
    /// The same of each address that `ADDRESSES` has or had: this host's and the peers'.
    pub known: [u32; 2],
}

impl Settings {
    /// `flags`: some route has `source: preserve`, so an answer may be addressed to a client.
    pub const PRESERVES: u32 = 1;

    /// Nothing is set.
    pub const NONE: Self = Settings {
        epoch: 0,
        port_seed: 0,
        tick_shift: 0,
        ticks_per_1024_s: 0,
        port_low_first: 0,
        port_low_count: 0,
        port_high_first: 0,
        port_high_count: 0,
        port_modulus: 0,
        flows_per_source: 0,
        new_flows_per_source: 0,
        udp_flows: 0,
        answers_per_tick: 0,
        undeclared_interface: 0,
        undeclared_first: 0,
        undeclared_count: 0,
        closing_s: 0,
        shortest_s: 0,
        flags: 0,
        own: [0; 2],
        known: [0; 2],
    };

    /// The place in `own` and `known` of the address whose low 32 bits these are: word and bit.
    #[inline(always)]
    pub const fn mark(address: u32) -> u32 {
        address.wrapping_mul(0x9e37_79b1) >> 26
    }

    /// The address may be this host's.
    #[inline(always)]
    pub const fn may_own(&self, address: u32) -> bool {
        Self::may_be(self.own, address)
    }

    /// The address may be in `ADDRESSES`.
    #[inline(always)]
    pub const fn may_know(&self, address: u32) -> bool {
        Self::may_be(self.known, address)
    }

    #[inline(always)]
    const fn may_be([low, high]: [u32; 2], address: u32) -> bool {
        let marks = (high as u64) << 32 | low as u64;
        marks >> Self::mark(address) & 1 != 0
    }
}
