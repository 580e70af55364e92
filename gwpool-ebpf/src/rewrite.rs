//! Last stage: the stored rewrite, written into the packet. Checksums are corrected by the stored deltas.

use crate::family::{Family, L3, Part};
use crate::packet::{Packet, Sum};
use crate::parse::{ICMP, Parsed, Ports, UDP, checksum_offset, has_ports};
use crate::plain;
use gwpool_common::flow::Rewrite;
use gwpool_common::net::{NextHop, Port};
use gwpool_common::reason::Reason;

/// Writes addresses, ports, checksums, and takes one from the TTL if the packet goes another `hop`.
///
/// # Errors
/// [`Reason::Truncated`] cannot be after parsing; [`Reason::RewriteFailed`] where the kernel refused.
#[inline(always)]
pub fn apply<F: Family, P: Packet>(
    packet: &mut P,
    parsed: &Parsed<F::Address>,
    rewrite: &Rewrite<F::Address>,
    hop: bool,
) -> Result<(), Reason> {
    let protocol = parsed.key.protocol;
    let ends = (rewrite.source, rewrite.destination);
    if parsed.part == Part::Later || !has_ports(protocol) {
        return F::write(packet, L3, ends, rewrite.address_delta, hop);
    }
    // At TC this is a helper call, which ends every earlier view of the packet: so it comes first.
    packet.patch(
        parsed.l4 + checksum_offset(protocol),
        // ICMP's sum has no pseudo header.
        if protocol == ICMP {
            0
        } else {
            rewrite.address_delta
        },
        rewrite.port_delta,
        protocol == UDP,
    )?;
    F::write(packet, L3, ends, rewrite.address_delta, hop)?;
    place(
        packet,
        protocol,
        parsed.l4,
        (rewrite.source_port, rewrite.destination_port),
    )
}

/// Writes both ports of the header at `l4`; of an ICMP query one of them is its identifier, the other nothing.
///
/// # Errors
/// As [`apply`].
#[inline(always)]
pub fn place<P: Packet>(
    packet: &mut P,
    protocol: u8,
    l4: usize,
    (source, destination): (Port, Port),
) -> Result<(), Reason> {
    if protocol == ICMP {
        let id = u16::from_ne_bytes(source) | u16::from_ne_bytes(destination);
        return packet.set(l4 + IDENTIFIER, &Sum(id.to_ne_bytes()));
    }
    let ports = Ports {
        source,
        destination,
    };
    packet.set(l4, &ports)
}

/// Where ICMP's identifier is (RFC 792).
pub const IDENTIFIER: usize = 4;

/// The Ethernet addresses.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ethernet {
    destination: [u8; 6],
    source: [u8; 6],
}
plain!(Ethernet = 12);
const _: () = assert!(size_of::<Ethernet>() + 2 == L3);

/// Addresses the frame to whom it came from.
///
/// # Errors
/// As [`apply`].
#[inline(always)]
pub fn turn_back<P: Packet>(packet: &mut P) -> Result<(), Reason> {
    let Ethernet {
        destination,
        source,
    } = packet.get(0)?;
    let back = Ethernet {
        destination: source,
        source: destination,
    };
    packet.set(0, &back)
}

/// One host is meant by the frame's destination, and one by its source: neither is a group (IEEE 802).
#[inline(always)]
pub fn between_two<P: Packet>(packet: &mut P) -> bool {
    const GROUP: u8 = 1;
    let Ok(ethernet) = packet.get::<Ethernet>(0) else {
        return false;
    };
    (ethernet.destination[0] | ethernet.source[0]) & GROUP == 0
}

/// Addresses the frame to the next hop.
///
/// # Errors
/// As [`apply`].
#[inline(always)]
pub fn address<P: Packet>(packet: &mut P, hop: &NextHop) -> Result<(), Reason> {
    let ethernet = Ethernet {
        destination: hop.destination,
        source: hop.source,
    };
    packet.set(0, &ethernet)
}
