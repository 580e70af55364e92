//! A flow is a stored decision: two entries, one a direction, each a complete rewrite.
//!
//! The *client side* entry matches what the client sends, the *backend side* entry what the backend sends.
//! The other half's key is the rewritten packet read backwards, so neither entry spends bytes on it:
//! the pair joins by that, and two halves belong together only if each names the other.

use crate::net::Port;

/// What a packet must carry to belong to a flow: the key of both tiers' ways.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey<A> {
    /// Source address of the packet as it comes in.
    pub source: A,
    /// Its destination address.
    pub destination: A,
    /// Its source port; of an ICMP query the identifier; of other protocols zero.
    pub source_port: Port,
    /// Its destination port; of an answer to an ICMP query the identifier; else zero.
    pub destination_port: Port,
    /// IP protocol: 6 TCP, 17 UDP, 1 ICMP, and any other that is translated by address.
    pub protocol: u8,
    /// Zero: keys are compared byte by byte.
    pub pad: [u8; 3],
}

/// What the packet carries afterwards, and what that does to its checksums.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrite<A> {
    /// New source address.
    pub source: A,
    /// New destination address.
    pub destination: A,
    /// New source port.
    pub source_port: Port,
    /// New destination port.
    pub destination_port: Port,
    /// One's complement difference of both addresses, new minus old, in memory order (RFC 1624).
    pub address_delta: u16,
    /// The same of both ports.
    pub port_delta: u16,
}

/// One direction of a flow.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow<A> {
    /// What to write.
    pub rewrite: Rewrite<A>,
    /// Id of the backend, 24 bits, least significant byte first.
    pub backend: [u8; 3],
    /// [`Flow::BACKEND_SIDE`] and its siblings.
    pub flags: u8,
    /// Index into `NEXT_HOPS`; 0: ask the kernel.
    pub next_hop: u16,
    /// The tick (see [`crate::limits::Settings::tick_shift`]) of the last packet in this direction.
    pub seen: u16,
}

impl<A> Flow<A> {
    /// This entry matches what the backend sends.
    pub const BACKEND_SIDE: u8 = 1;
    /// The backend is this host: packets are delivered here, replies come by TC egress.
    pub const LOCAL: u8 = 2;
    /// Embryonic, backend side: the backend has answered.
    pub const REPLIED: u8 = 4;
    /// TCP: this side has sent FIN.
    pub const FIN: u8 = 8;
    /// TCP: this side has sent RST.
    pub const RST: u8 = 16;
    /// Embryonic, client side: the backend has refused; the next SYN goes to another.
    pub const REFUSED: u8 = 32;
    /// Translated: the client is an inside host (or, with `LOCAL`, this one), the "backend" whoever it speaks with
    /// outside; the backend's id is 0.
    pub const NAT: u8 = 64;
    /// Embryonic: picked up in the middle, so nobody here has seen its handshake.
    pub const PICKED_UP: u8 = 128;

    /// The backend's id.
    #[inline(always)]
    pub const fn backend_id(&self) -> u32 {
        let [low, middle, high] = self.backend;
        u32::from_le_bytes([low, middle, high, 0])
    }
}

/// A flow that nothing has proved yet (a handshake, UDP without a second packet).
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embryo<A> {
    /// What it becomes.
    pub flow: Flow<A>,
    /// Backend side, TCP: the backend's initial sequence number + 1, which the client's ACK must carry.
    pub proof: u32,
    /// The tick in which this backend was chosen.
    pub since: u16,
    /// How many backends have failed this handshake before.
    pub failed: u8,
    /// Zero.
    pub pad: u8,
}

/// Ways of a set: how many keys with one hash there is room for.
pub const WAYS: usize = 14;

/// A set of either tier: which keys are in its ways, in one cache line. The value of the arrays `FLOW_TAGS` and
/// `EMBRYO_TAGS`. They stand apart from the ways: the tags of 100,000 flows fit into a CPU's cache. How entries come to
/// their sets is in `gwpool_ebpf::tier`.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowSet {
    /// Of each way its key's tag, see `gwpool_ebpf::tier`; 0: it is free; [`FlowSet::CLAIMED`].
    pub tags: [u32; WAYS],
    /// [`FlowSet::LOCKED`], and above it, of the embryonic tier, the way that gives way next.
    pub state: u32,
    /// Established tier: how many keys of this set have found no way here and lie in one of the following
    /// ([`FlowSet::AWAY`]), and above that how far off the farthest may be, in sets.
    pub away: u32,
}

impl FlowSet {
    /// `tags`: somebody is writing an entry there that nobody may find yet.
    pub const CLAIMED: u32 = 2;
    /// `state`: a program is putting an entry in.
    pub const LOCKED: u32 = 1;
    /// `away`: the bits of it that count.
    pub const AWAY: u32 = (1 << Self::FAR) - 1;
    /// `away`: how many bits they are.
    pub const FAR: u32 = 27;
}

/// An entry of either tier: the value of the arrays `ESTABLISHED` and `EMBRYONIC`, where set after set has its ways.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Way<A> {
    /// Its key.
    pub key: FlowKey<A>,
    /// What it says; an established one's `flow` alone.
    pub embryo: Embryo<A>,
    /// Zero: to the end of the line.
    pub pad: [u64; 2],
}

// Memory per connection is two entries: 2 x (64 + 14 x 64 bytes of a set) / 10 entries that it is meant for = 192 bytes.
const _: () = assert!(size_of::<FlowKey<[u8; 4]>>() == 16);
const _: () = assert!(size_of::<Flow<[u8; 4]>>() == 24);
const _: () = assert!(size_of::<Embryo<[u8; 4]>>() == 32);
const _: () = assert!(size_of::<Way<[u8; 4]>>() == 64);
const _: () = assert!(size_of::<FlowSet>() == 64);
const _: () = assert!(size_of::<FlowKey<[u8; 16]>>() == 40);
const _: () = assert!(size_of::<Flow<[u8; 16]>>() == 48);
