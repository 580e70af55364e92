//! Every bound that both sides keep, with its arithmetic, and the settings the daemon writes for the programs.

/// Default capacity of the established tier, in flows; `ESTABLISHED` has two entries a flow (`gwpool.limits.flows`).
pub const FLOWS: u32 = 262_144;
/// Default capacity of the embryonic tier, in flows (`gwpool.limits.embryonic`).
pub const EMBRYONIC: u32 = 65_536;
/// Default number of routes (`gwpool.limits.routes`).
pub const ROUTES: u32 = 1_024;
/// Default number of backends over all routes, retired ones with live flows included (`gwpool.limits.backends`).
pub const BACKENDS: u32 = 8_192;
/// Default number of turn slots: backends x weights, doubled because a reload writes beside what runs.
pub const SLOTS: u32 = 32_768;
/// Default number of listeners: routes x addresses x ports.
pub const LISTENERS: u32 = 4_096;
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
/// Ports tried for a new flow before it is refused.
pub const PORT_TRIES: u32 = 32;
/// Backend ids are 24 bits in a flow.
pub const BACKENDS_MAX: u32 = 1 << 24;

/// TCP established, seconds idle (RFC 5382 REQ-5: at least 2 h 4 min).
pub const TCP_ESTABLISHED_S: u16 = 7_440;
/// TCP after FIN both ways or RST, seconds idle (RFC 5382 REQ-5, RFC 7857 2.1: transitory 4 min).
pub const TCP_CLOSING_S: u16 = 240;
/// UDP that both sides have used, seconds idle (RFC 4787 REQ-5: 5 min recommended).
pub const UDP_S: u16 = 300;
/// A handshake, or UDP without an answer, seconds idle.
pub const EMBRYONIC_S: u16 = 60;

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
}
