//! First stage: from bytes to the few facts the rest of the walk asks for, or the reason why this packet is not ours.

use crate::checksum;
use crate::family::{Family, Network, Part};
use crate::packet::Packet;
use crate::plain;
use gwpool_common::flow::FlowKey;
use gwpool_common::reason::Reason;

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IP protocol number of ICMP.
pub const ICMP: u8 = 1;

/// What a packet is, once it is known to be one that can have a flow.
#[derive(Clone, Copy)]
pub struct Parsed<A> {
    /// The five-tuple as it stands in the packet.
    pub key: FlowKey<A>,
    /// Where the transport header begins.
    pub l4: usize,
    /// Bytes of the IP packet.
    pub total: u32,
    /// Bytes of the largest IP packet that it stands for: more than one with GSO.
    pub largest: u32,
    /// Time to live.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// TCP's flag byte; `ACK` for an answer to an ICMP query; else 0, as for later fragments.
    pub flags: u8,
    /// Which part of its packet this is: of a later one nothing but the IP header may be touched.
    pub part: Part,
}

/// TCP flag bits (RFC 9293 3.1).
pub mod tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Acknowledgment field significant.
    pub const ACK: u8 = 0x10;
}

impl<A> Parsed<A> {
    /// TCP that asks for a new connection.
    #[inline(always)]
    pub fn opens(&self) -> bool {
        opens(self.flags)
    }

    /// The backend's initial sequence number is in it: its answer to a SYN, or a SYN of its own where both sides open
    /// at once (RFC 9293 3.5).
    #[inline(always)]
    pub fn accepts(&self) -> bool {
        self.flags & (tcp::SYN | tcp::RST) == tcp::SYN
    }
}

/// TCP flags that ask for a new connection.
#[inline(always)]
pub const fn opens(flags: u8) -> bool {
    flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) == tcp::SYN
}

/// Where the checksum lies in the headers of protocols with ports, or ICMP's identifier.
#[inline(always)]
pub const fn checksum_offset(protocol: u8) -> usize {
    match protocol {
        TCP => 16,
        ICMP => 2,
        _ => 6,
    }
}

/// Only the first fragment of such a packet says which flow it is of.
#[inline(always)]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | ICMP)
}

/// TCP without options (RFC 9293 3.1).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct TcpHeader {
    /// Source port.
    pub source_port: [u8; 2],
    /// Destination port.
    pub destination_port: [u8; 2],
    /// Sequence number.
    pub sequence: [u8; 4],
    /// Acknowledgment number.
    pub acknowledgment: [u8; 4],
    /// Header length in 32-bit words, upper four bits.
    pub offset: u8,
    /// See [`tcp`].
    pub flags: u8,
    /// Window.
    pub window: [u8; 2],
    /// Checksum.
    pub check: [u8; 2],
    /// Urgent pointer.
    pub urgent: [u8; 2],
}
plain!(TcpHeader = 20);

impl TcpHeader {
    /// Both ports.
    #[inline(always)]
    pub fn ports(&self) -> Ports {
        Ports {
            source: self.source_port,
            destination: self.destination_port,
        }
    }

    /// The header's share of a one's complement sum.
    #[inline(always)]
    pub fn sum(&self) -> u32 {
        let word = checksum::word;
        let long = |[a, b, c, d]: [u8; 4]| word([a, b]) + word([c, d]);
        word(self.source_port)
            + word(self.destination_port)
            + long(self.sequence)
            + long(self.acknowledgment)
            + word([self.offset, self.flags])
            + word(self.window)
            + word(self.check)
            + word(self.urgent)
    }
}

/// The ports, where TCP and UDP agree.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ports {
    /// Source port.
    pub source: [u8; 2],
    /// Destination port.
    pub destination: [u8; 2],
}
plain!(Ports = 4);

impl Ports {
    /// Of a protocol that has none.
    pub const NONE: Ports = Ports {
        source: [0; 2],
        destination: [0; 2],
    };

    /// The five-tuple of a packet with these ports.
    #[inline(always)]
    pub fn key<A: Copy>(self, network: &Network<A>) -> FlowKey<A> {
        FlowKey {
            source: network.source,
            destination: network.destination,
            source_port: self.source,
            destination_port: self.destination,
            protocol: network.protocol,
            pad: [0; 3],
        }
    }
}

/// UDP's header (RFC 768).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UdpHeader {
    /// Source and destination.
    pub ports: Ports,
    /// Of header and payload.
    pub length: [u8; 2],
    /// Checksum; 0: none.
    pub check: [u8; 2],
}
plain!(UdpHeader = 8);

impl UdpHeader {
    /// The header's share of a one's complement sum.
    #[inline(always)]
    pub fn sum(&self) -> u32 {
        let word = checksum::word;
        word(self.ports.source)
            + word(self.ports.destination)
            + word(self.length)
            + word(self.check)
    }
}

/// Reads the transport header after `network`. `any`: also of what only a translating host has flows for, ICMP queries
/// and protocols that are told apart by address alone.
///
/// # Errors
/// The reason why it is none of ours; nothing has been written.
#[inline(always)]
pub fn parse<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
    any: bool,
) -> Result<Parsed<F::Address>, Reason> {
    if network.part == Part::Later && (has_ports(network.protocol) || !any) {
        return Err(Reason::Fragment);
    }
    let (ports, flags, header_length) = match network.protocol {
        TCP => transport_tcp(packet, network)?,
        UDP => transport_udp(packet, network)?,
        _ if !any => return Err(Reason::OtherProtocol),
        ICMP => query(packet, network)?,
        _ => (Ports::NONE, 0, 0),
    };
    Ok(Parsed {
        key: ports.key(network),
        l4: network.l4,
        total: network.total,
        largest: packet.largest(
            (network.l4 + header_length - crate::family::L3) as u32,
            network.total,
        ),
        ttl: network.ttl,
        tos: network.tos,
        flags,
        part: network.part,
    })
}

#[inline(always)]
fn transport_tcp<A, P: Packet>(
    packet: &mut P,
    network: &Network<A>,
) -> Result<(Ports, u8, usize), Reason> {
    if network.part == Part::First && beyond(network, size_of::<TcpHeader>()) {
        // What decides over the packet must be in its first fragment (RFC 1858 3: the tiny fragment attack).
        return Err(Reason::Fragment);
    }
    let header = packet.get::<TcpHeader>(network.l4)?;
    let header_length = (header.offset >> 4) as usize * 4;
    if header_length < size_of::<TcpHeader>() || beyond(network, header_length) {
        return Err(Reason::Malformed);
    }
    Ok((header.ports(), header.flags, header_length))
}

#[inline(always)]
fn transport_udp<A, P: Packet>(
    packet: &mut P,
    network: &Network<A>,
) -> Result<(Ports, u8, usize), Reason> {
    let header = packet.get::<UdpHeader>(network.l4)?;
    let length = u16::from_be_bytes(header.length) as usize;
    // With UDP GSO the length field covers one segment or all of them: only too long is a contradiction. Of a first
    // fragment it covers the others, too: only the header itself must be there.
    let here = if network.part == Part::First {
        size_of::<UdpHeader>()
    } else {
        length
    };
    if length < size_of::<UdpHeader>() || beyond(network, here) {
        return Err(Reason::Malformed);
    }
    Ok((header.ports, 0, size_of::<UdpHeader>()))
}

/// ICMP's header, of a query or its answer (RFC 792).
#[repr(C)]
#[derive(Clone, Copy)]
struct Query {
    kind: u8,
    code: u8,
    check: [u8; 2],
    id: [u8; 2],
    sequence: [u8; 2],
}
plain!(Query = 8);

/// What is asked and answered under an identifier: echo and timestamp (RFC 792).
const QUERIES: [(u8, u8); 2] = [(8, 0), (13, 14)];

/// This ICMP packet asks, or answers, under an identifier; or it is a later fragment, of which nobody knows.
#[inline(always)]
pub fn is_query<A, P: Packet>(packet: &mut P, network: &Network<A>) -> bool {
    network.part == Part::Later || query(packet, network).is_ok()
}

/// The ports of a query that an error quotes.
///
/// # Errors
/// [`Reason::OtherProtocol`] where it is none.
#[inline(always)]
pub fn query_ports<A, P: Packet>(packet: &mut P, quoted: &Network<A>) -> Result<Ports, Reason> {
    ports_of(packet.get::<Query>(quoted.l4)?).map(|(ports, _)| ports)
}

/// The identifier stands for the port of who asks.
#[inline(always)]
fn query<A, P: Packet>(packet: &mut P, network: &Network<A>) -> Result<(Ports, u8, usize), Reason> {
    let header = packet.get::<Query>(network.l4)?;
    if beyond(network, size_of::<Query>()) {
        return Err(Reason::Malformed);
    }
    let (ports, flags) = ports_of(header)?;
    Ok((ports, flags, size_of::<Query>()))
}

/// The ports, and the flags that stand for a query or its answer.
#[inline(always)]
fn ports_of(header: Query) -> Result<(Ports, u8), Reason> {
    let [(echo, echoed), (timestamp, stamped)] = QUERIES;
    if header.kind == echo || header.kind == timestamp {
        return Ok((
            Ports {
                source: header.id,
                ..Ports::NONE
            },
            0,
        ));
    }
    if header.kind == echoed || header.kind == stamped {
        return Ok((
            Ports {
                destination: header.id,
                ..Ports::NONE
            },
            tcp::ACK,
        ));
    }
    Err(Reason::OtherProtocol)
}

/// `length` bytes from the transport header on reach past the end of the IP packet.
#[inline(always)]
fn beyond<A>(network: &Network<A>, length: usize) -> bool {
    network.l4 + length > crate::family::L3 + network.total as usize
}
