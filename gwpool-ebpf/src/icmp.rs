//! Beside the walk: ICMP errors about a flow, from routers and hosts on either side (RFC 792, RFC 5508 4.1).
//!
//! An error quotes the packet it is about, as we have sent it. The quote read backwards is the key of the flow's other
//! direction, whose rewrite says who must hear of it and what the packet was before us. The flow itself is not
//! touched: an error neither refreshes nor ends it. What quotes no flow is the kernel's.

use crate::Verdict;
use crate::checksum;
use crate::classify;
use crate::family::{Family, Network, Part};
use crate::packet::{Packet, Sum};
use crate::parse::{self, ICMP, Ports, UDP, checksum_offset, has_ports};
use crate::plain;
use crate::rewrite;
use crate::world::{Lookup, World};
use gwpool_common::flow::{Flow, FlowKey, Rewrite};
use gwpool_common::reason::Reason;

/// The part of ICMP's header that errors share.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum over the message.
    pub check: [u8; 2],
    /// Zero.
    pub unused: [u8; 2],
    /// "Fragmentation needed": the next hop's MTU (RFC 1191 4).
    pub mtu: [u8; 2],
}
plain!(Header = 8);

/// The types that are errors: unreachable, source quench, time exceeded, parameter problem (RFC 792).
const ERRORS: [u8; 4] = [UNREACHABLE, 4, TIME_EXCEEDED, 12];
/// Destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Time exceeded; code 0: in transit.
pub const TIME_EXCEEDED: u8 = 11;
/// The code of an unreachable that says "nobody there".
pub const PORT: u8 = 3;
/// The code of an unreachable that says "fragmentation needed" (RFC 1191 4).
pub const FRAGMENTATION_NEEDED: u8 = 4;
/// The code of an unreachable that says "forbidden by the administration" (RFC 1812 5.2.7.1).
pub const PROHIBITED: u8 = 13;
/// A path MTU below this is no router's honest word: IPv4's smallest reassembly buffer (RFC 791 3.2).
const MTU_MIN: u16 = 576;

/// The packet an error quotes.
struct Quote<A> {
    /// Where its header begins.
    at: usize,
    network: Network<A>,
    ports: Ports,
}

impl<A: Copy> Quote<A> {
    /// The key of what comes back to it.
    #[inline(always)]
    fn answer(&self) -> FlowKey<A> {
        FlowKey {
            source: self.network.destination,
            destination: self.network.source,
            source_port: self.ports.destination,
            destination_port: self.ports.source,
            protocol: self.network.protocol,
            pad: [0; 3],
        }
    }
}

/// An ICMP packet that came in.
///
/// # Errors
/// [`Reason::OtherProtocol`] where it is none of a flow's errors, or why it ends here.
#[inline(always)]
pub fn ingress<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    network: &Network<F::Address>,
) -> Result<Verdict<F::Address>, Reason> {
    let quote = quote::<F, P>(packet, network)?;
    // An error is addressed to whom it quotes (RFC 1122 3.2.2), and may not be forged more easily than a packet.
    if network.destination != quote.network.source {
        return Err(Reason::OtherProtocol);
    }
    if let Err(reason) = classify::ends::<F, W>(world, network.source, network.destination)
        && !classify::answers_a_client::<F, W>(world, reason)
    {
        return Err(reason);
    }
    let flow = flow::<F, W>(world, &quote.answer()).ok_or(Reason::OtherProtocol)?;
    if flow.flags & Flow::<F::Address>::LOCAL != 0 {
        return local::<F, P>(packet, network, &quote, &flow.rewrite);
    }
    if !is_sound::<F, P>(packet, network, &quote) {
        return Err(Reason::IcmpIgnored);
    }
    if network.ttl <= 1 {
        return Err(Reason::TtlExpired);
    }
    let way = world.lookup(&Lookup {
        source: flow.rewrite.source,
        destination: flow.rewrite.destination,
        source_port: [0; 2],
        destination_port: [0; 2],
        protocol: F::ICMP,
        tos: network.tos,
        length: network.total as u16,
    })?;
    if !world.resolves() && !crate::sendable(&way) {
        return Ok(Verdict::Unfinished);
    }
    translate::<F, P>(packet, network, &quote, &flow.rewrite)?;
    // Who says it stays who he is, unless the flow hides that side (traceroute shows the routers on the other).
    let source = if flow.rewrite.source == quote.network.destination {
        network.source
    } else {
        flow.rewrite.source
    };
    let ends = (source, flow.rewrite.destination);
    let before = F::sum(network.source) + F::sum(network.destination);
    let delta = checksum::delta(before, F::sum(ends.0) + F::sum(ends.1));
    F::write(packet, crate::family::L3, ends, delta, true)?;
    crate::leave(packet, way, Reason::IcmpError)
}

/// An ICMP packet that the local stack sends: about a client's packet whose port we have changed on its way in.
///
/// # Errors
/// [`Reason::OtherProtocol`] where it is not: it leaves as it is.
#[inline(always)]
pub fn egress<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    network: &Network<F::Address>,
) -> Result<Verdict<F::Address>, Reason> {
    let quote = quote::<F, P>(packet, network)?;
    let flow = flow::<F, W>(world, &quote.answer()).ok_or(Reason::OtherProtocol)?;
    if flow.flags & Flow::<F::Address>::LOCAL == 0 {
        return Err(Reason::OtherProtocol);
    }
    local::<F, P>(packet, network, &quote, &flow.rewrite)
}

/// Between this host's stack and a client only a port may have changed, so only the quote does.
#[inline(always)]
fn local<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
    quote: &Quote<F::Address>,
    rewrite: &Rewrite<F::Address>,
) -> Result<Verdict<F::Address>, Reason> {
    if rewrite.port_delta == 0 {
        return Err(Reason::OtherProtocol);
    }
    translate::<F, P>(packet, network, quote, rewrite)?;
    Ok(Verdict::Deliver(Reason::IcmpError))
}

/// Reads an error's quote: the IP header and the eight bytes after it that RFC 792 promises.
#[inline(always)]
fn quote<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
) -> Result<Quote<F::Address>, Reason> {
    if network.part != Part::Whole {
        return Err(Reason::Fragment);
    }
    let at = network.l4 + size_of::<Header>();
    packet.bring(at + 60 + 20);
    let header = packet.get::<Header>(network.l4)?;
    if !ERRORS.contains(&header.kind) {
        return Err(Reason::OtherProtocol);
    }
    let too_big = header.kind == UNREACHABLE && header.code == FRAGMENTATION_NEEDED;
    if too_big && u16::from_be_bytes(header.mtu) < MTU_MIN {
        return Err(Reason::IcmpIgnored);
    }
    let quoted = F::quoted(packet, at)?;
    if quoted.part == Part::Later && has_ports(quoted.protocol) {
        return Err(Reason::OtherProtocol);
    }
    let ports = ports(packet, &quoted)?;
    Ok(Quote {
        at,
        network: quoted,
        ports,
    })
}

/// Its own checksum holds, and that of the IP header it quotes; what is behind that is nobody's to check
/// (RFC 5508 REQ-3).
#[inline(always)]
fn is_sound<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
    quote: &Quote<F::Address>,
) -> bool {
    let bytes = (crate::family::L3 + network.total as usize).wrapping_sub(network.l4);
    let quoted = quote.network.l4 - quote.at;
    packet.sum(network.l4, bytes) == Some(0xffff) && packet.sum(quote.at, quoted) == Some(0xffff)
}

/// What stands for the ports of a quoted packet. Errors are never about errors (RFC 1122 3.2.2), so ICMP is a query.
#[inline(always)]
fn ports<A, P: Packet>(packet: &mut P, quoted: &Network<A>) -> Result<Ports, Reason> {
    match quoted.protocol {
        ICMP => parse::query_ports(packet, quoted),
        protocol if has_ports(protocol) => Ok(packet.get::<Ports>(quoted.l4)?),
        _ => Ok(Ports::NONE),
    }
}

/// The flow under `key`, in either tier.
#[inline(always)]
pub fn flow<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
) -> Option<Flow<F::Address>> {
    if let Some(at) = world.established(key) {
        return Some(world.flow(at));
    }
    let at = world.embryonic(key)?;
    Some(world.embryo(at).flow)
}

/// Turns the quote into the packet that its sender knows, ICMP's own checksum following every byte.
#[inline(always)]
fn translate<F: Family, P: Packet>(
    packet: &mut P,
    network: &Network<F::Address>,
    quote: &Quote<F::Address>,
    rewrite: &Rewrite<F::Address>,
) -> Result<(), Reason> {
    // What we had sent was the answer's mirror image; so is what its sender had sent. Mirrored ends sum to the same:
    // the flow's stored deltas hold for the quote, too.
    let ends = (rewrite.destination, rewrite.source);
    let (addresses, ports) = (rewrite.address_delta, rewrite.port_delta);
    let delta = if quote.network.protocol == ICMP {
        ports
    } else {
        checksum::add(addresses, ports)
    };
    let inner = quoted_sum::<P, F::Address>(packet, network, quote, delta);
    F::write(packet, quote.at, ends, addresses, false)?;
    let protocol = quote.network.protocol;
    if has_ports(protocol) {
        let mirrored = (rewrite.destination_port, rewrite.source_port);
        rewrite::place(packet, protocol, quote.network.l4, mirrored)?;
    }
    // The quoted IP header sums to the same as before: its own checksum has followed its addresses.
    let mut header = packet.get::<Header>(network.l4)?;
    let check = u16::from_ne_bytes(header.check);
    header.check = checksum::patch(check, checksum::add(ports, inner)).to_ne_bytes();
    packet.set(network.l4, &header)
}

/// Corrects the quoted transport checksum, if the quote reaches that far and has one; what that adds to ICMP's sum.
#[inline(always)]
fn quoted_sum<P: Packet, A>(
    packet: &mut P,
    network: &Network<A>,
    quote: &Quote<A>,
    delta: u16,
) -> u16 {
    let at = quote.network.l4 + checksum_offset(quote.network.protocol);
    if !has_ports(quote.network.protocol)
        || at + size_of::<Sum>() > crate::family::L3 + network.total as usize
    {
        return 0;
    }
    let Ok(field) = packet.get::<Sum>(at) else {
        return 0;
    };
    let old = u16::from_ne_bytes(field.0);
    let new = checksum::corrected(old, delta, quote.network.protocol == UDP);
    if packet.set(at, &Sum(new.to_ne_bytes())).is_err() {
        return 0;
    }
    checksum::delta(old as u32, new as u32)
}
