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

/// What a packet is, once it is known to be whole TCP or UDP.
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
    /// TCP's flag byte; 0 for UDP and for later fragments.
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

/// Where TCP's and UDP's checksum lie in their headers.
#[inline(always)]
pub const fn checksum_offset(protocol: u8) -> usize {
    if protocol == TCP { 16 } else { 6 }
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

/// Reads the transport header after `network`.
///
/// # Errors
/// The reason why it is none of ours; nothing has been written.
#[inline(always)]
pub fn parse<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
) -> Result<Parsed<F::Address>, Reason> {
    if network.protocol != TCP && network.protocol != UDP {
        return Err(Reason::OtherProtocol);
    }
    if network.part == Part::Later {
        return Err(Reason::Fragment);
    }
    let (ports, flags, header_length) = if network.protocol == TCP {
        transport_tcp(packet, network)?
    } else {
        transport_udp(packet, network)?
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
    let header = *packet.at::<TcpHeader>(network.l4)?;
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
    let header = *packet.at::<UdpHeader>(network.l4)?;
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

/// `length` bytes from the transport header on reach past the end of the IP packet.
#[inline(always)]
fn beyond<A>(network: &Network<A>, length: usize) -> bool {
    network.l4 + length > crate::family::L3 + network.total as usize
}
