//! What differs between address families, and nothing else: how the header is read and written.
//!
//! The walk itself is written once, over `F: Family`. IPv4 lives here; IPv6 will be the second implementation.

use crate::checksum;
use crate::packet::Packet;
use crate::plain;
use gwpool_common::net::V4;
use gwpool_common::reason::Reason;

/// Length of the Ethernet header: where the IP header begins.
pub const L3: usize = 14;

/// Which part of a packet a datagram on the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The fragment with the transport header.
    First,
    /// Another fragment.
    Later,
}

/// What the IP header says, whatever the family.
///
/// `repr(C)`: in a `Result` an error lies where the first address does, never where `l4` does, whose bounds the verifier
/// would lose ("math between pkt pointer and register with unbounded min value is not allowed").
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Network<A> {
    /// Source address.
    pub source: A,
    /// Destination address.
    pub destination: A,
    /// The next protocol.
    pub protocol: u8,
    /// Time to live.
    pub ttl: u8,
    /// DSCP and ECN: the kernel's routing may ask for them.
    pub tos: u8,
    /// Which part of its packet this is.
    pub part: Part,
    /// The sender's number for the packet: fragments of one have the same.
    pub id: [u8; 2],
    /// Where the transport header begins, from the start of the frame.
    pub l4: usize,
    /// Bytes of the IP packet, header included.
    pub total: u32,
}

/// An address family.
pub trait Family {
    /// Bytes of a header without options.
    const HEADER: usize;
    /// The number of the family's ICMP in its protocol field.
    const ICMP: u8;
    /// An address, network order.
    type Address: Copy + PartialEq + Default;

    /// Reads the IP header.
    ///
    /// # Errors
    /// [`Reason::Truncated`] or [`Reason::Malformed`].
    fn read<P: Packet>(packet: &mut P) -> Result<Network<Self::Address>, Reason>;

    /// What `read` has said of this packet; protocol 0 where it has not. (In a `Result` the offsets share their place
    /// with the error, half and half; where that is not taken apart the verifier no longer knows their bounds.)
    fn again<P: Packet>(packet: &mut P) -> Network<Self::Address>;

    /// Reads the header at `at` of a packet that an ICMP error quotes, which may end soon after it.
    ///
    /// # Errors
    /// As `read`.
    fn quoted<P: Packet>(packet: &mut P, at: usize) -> Result<Network<Self::Address>, Reason>;

    /// Writes both addresses of the header at `at` and takes one from the TTL if `hop`, header checksum included.
    ///
    /// # Errors
    /// [`Reason::Truncated`], which cannot be after `read`.
    fn write<P: Packet>(
        packet: &mut P,
        at: usize,
        ends: (Self::Address, Self::Address),
        address_delta: u16,
        hop: bool,
    ) -> Result<(), Reason>;

    /// The header's own checksum holds (RFC 1812 5.2.2).
    fn sound<P: Packet>(packet: &mut P, network: &Network<Self::Address>) -> bool;

    /// Writes a header of a packet made here: it ends at `l4`, options blanked, and `payload` bytes follow.
    ///
    /// # Errors
    /// [`Reason::Truncated`], where the frame has no room for it.
    fn compose<P: Packet>(
        packet: &mut P,
        l4: usize,
        ends: (Self::Address, Self::Address),
        protocol: u8,
        payload: usize,
    ) -> Result<(), Reason>;

    /// The address's share of a one's complement sum.
    fn sum(address: Self::Address) -> u32;

    /// 32 bits of the address that tell neighbours apart.
    fn low(address: Self::Address) -> u32;

    /// One host may be meant by it: neither this-network, loopback, multicast nor broadcast.
    fn unicast(address: Self::Address) -> bool;

    /// `address` lies in `prefix`.
    fn within(address: Self::Address, prefix: Self::Address, mask: Self::Address) -> bool;
}

/// IPv4 (RFC 791).
pub struct Ipv4;

/// The IPv4 header without options (RFC 791 3.1).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Ipv4Header {
    version_ihl: u8,
    tos: u8,
    total: [u8; 2],
    id: [u8; 2],
    fragment: [u8; 2],
    ttl: u8,
    protocol: u8,
    check: [u8; 2],
    source: V4,
    destination: V4,
}
plain!(Ipv4Header = 20);

/// What of it a translation changes, and where that begins.
#[repr(C)]
#[derive(Clone, Copy)]
struct Changed {
    ttl: u8,
    protocol: u8,
    check: [u8; 2],
    source: V4,
    destination: V4,
}
plain!(Changed = 12);
const CHANGED: usize = size_of::<Ipv4Header>() - size_of::<Changed>();

/// "More fragments" (RFC 791 3.1).
const MORE: u16 = 0x2000;
/// Fragment offset (RFC 791 3.1).
const OFFSET: u16 = 0x1fff;
/// Four bytes of a header.
#[repr(C)]
#[derive(Clone, Copy)]
struct Word([u8; 4]);
plain!(Word = 4);

impl Word {
    #[inline(always)]
    fn sum(self) -> u32 {
        let [a, b, c, d] = self.0;
        checksum::word([a, b]) + checksum::word([c, d])
    }
}

/// Four-byte words of the longest header.
const WORDS_MAX: usize = 15;
/// The option that says nothing (RFC 791 3.1).
const NO_OPERATION: u8 = 1;
/// Precedence "internetwork control", for what a router says of itself (RFC 1812 4.3.2.5).
const CONTROL: u8 = 0xc0;
/// The flag of that name.
const DONT_FRAGMENT: u16 = 0x4000;

impl Ipv4Header {
    /// What the header at `at` says by itself.
    #[inline(always)]
    fn network(&self, at: usize) -> Result<Network<V4>, Reason> {
        let network = self.says(at);
        if self.version_ihl >> 4 != 4 || network.l4 - at < size_of::<Ipv4Header>() {
            return Err(Reason::Malformed);
        }
        Ok(network)
    }

    #[inline(always)]
    fn says(&self, at: usize) -> Network<V4> {
        Network {
            source: self.source,
            destination: self.destination,
            protocol: self.protocol,
            ttl: self.ttl,
            tos: self.tos,
            part: match u16::from_be_bytes(self.fragment) {
                bits if bits & (OFFSET | MORE) == 0 => Part::Whole,
                bits if bits & OFFSET == 0 => Part::First,
                _ => Part::Later,
            },
            id: self.id,
            // The mask is what lets the verifier bound every later access: 0..=60.
            l4: at + (((self.version_ihl as usize) << 2) & 0x3c),
            total: u16::from_be_bytes(self.total) as u32,
        }
    }
}

impl Family for Ipv4 {
    const HEADER: usize = size_of::<Ipv4Header>();
    const ICMP: u8 = 1;
    type Address = V4;

    #[inline(always)]
    fn read<P: Packet>(packet: &mut P) -> Result<Network<V4>, Reason> {
        let header = packet.get::<Ipv4Header>(L3)?;
        let mut network = header.network(L3)?;
        let header_length = network.l4 - L3;
        packet.bring(network.l4 + 20);
        if network.total == 0 && packet.segments() > 1 {
            // BIG TCP: the length does not fit and is left out (net/ipv4: iph_totlen).
            network.total = (packet.length() - L3) as u32;
        }
        let total = network.total as usize;
        if total < header_length || total + L3 > packet.length() {
            return Err(Reason::Malformed);
        }
        Ok(network)
    }

    #[inline(always)]
    fn again<P: Packet>(packet: &mut P) -> Network<V4> {
        let mut header = Ipv4Header::default();
        if let Ok(read) = packet.get::<Ipv4Header>(L3) {
            header = read;
        }
        let mut network = header.says(L3);
        if network.total == 0 {
            network.total = (packet.length() - L3) as u32;
        }
        network
    }

    #[inline(always)]
    fn quoted<P: Packet>(packet: &mut P, at: usize) -> Result<Network<V4>, Reason> {
        let header = packet.get::<Ipv4Header>(at)?;
        header.network(at)
    }

    #[inline(always)]
    fn write<P: Packet>(
        packet: &mut P,
        at: usize,
        ends: (V4, V4),
        address_delta: u16,
        hop: bool,
    ) -> Result<(), Reason> {
        let mut header = packet.get::<Changed>(at + CHANGED)?;
        (header.source, header.destination) = ends;
        let mut delta = address_delta;
        if hop {
            let before = checksum::word([header.ttl, header.protocol]);
            header.ttl = header.ttl.wrapping_sub(1);
            let after = checksum::word([header.ttl, header.protocol]);
            delta = checksum::add(delta, checksum::delta(before, after));
        }
        header.check = checksum::patch(u16::from_ne_bytes(header.check), delta).to_ne_bytes();
        packet.set(at + CHANGED, &header)
    }

    #[inline(always)]
    fn sound<P: Packet>(packet: &mut P, network: &Network<V4>) -> bool {
        let mut sum = 0;
        let mut word = 0;
        while word < WORDS_MAX && L3 + 4 * word < network.l4 {
            let Ok(two) = packet.get::<Word>(L3 + 4 * word) else {
                return false;
            };
            sum += two.sum();
            word += 1;
        }
        checksum::fold(sum) == 0xffff
    }

    #[inline(always)]
    fn compose<P: Packet>(
        packet: &mut P,
        l4: usize,
        ends: (V4, V4),
        protocol: u8,
        payload: usize,
    ) -> Result<(), Reason> {
        let mut sum = 0;
        let mut word = size_of::<Ipv4Header>() / 4;
        while word < WORDS_MAX && L3 + 4 * word < l4 {
            packet.set(L3 + 4 * word, &Word([NO_OPERATION; 4]))?;
            sum += Word([NO_OPERATION; 4]).sum();
            word += 1;
        }
        let (length, total) = (l4 - L3, (l4 - L3 + payload) as u16);
        let mut header = Ipv4Header {
            version_ihl: 0x40 | (length / 4) as u8,
            tos: if protocol == Self::ICMP { CONTROL } else { 0 },
            total: total.to_be_bytes(),
            // Never a fragment, so the identification says nothing (RFC 6864 4.1).
            id: [0; 2],
            fragment: DONT_FRAGMENT.to_be_bytes(),
            ttl: 64,
            protocol,
            check: [0; 2],
            source: ends.0,
            destination: ends.1,
        };
        sum += checksum::word([header.version_ihl, header.tos])
            + checksum::word(header.total)
            + checksum::word(header.fragment)
            + checksum::word([header.ttl, header.protocol])
            + Self::sum(ends.0)
            + Self::sum(ends.1);
        header.check = (!checksum::fold(sum)).to_ne_bytes();
        packet.set(L3, &header)
    }

    #[inline(always)]
    fn sum(address: V4) -> u32 {
        checksum::word([address[0], address[1]]) + checksum::word([address[2], address[3]])
    }

    #[inline(always)]
    fn low(address: V4) -> u32 {
        u32::from_be_bytes(address)
    }

    /// RFC 1122 3.2.1.3.
    #[inline(always)]
    fn unicast(address: V4) -> bool {
        address[0] != 0 && address[0] != 127 && address[0] < 224
    }

    #[inline(always)]
    fn within(address: V4, prefix: V4, mask: V4) -> bool {
        u32::from_ne_bytes(address) & u32::from_ne_bytes(mask) == u32::from_ne_bytes(prefix)
    }
}
