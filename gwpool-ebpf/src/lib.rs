//! The pipeline: what becomes of a packet, decided without a kernel in sight.
//!
//! ```text
//!   parse -> flow (established) -> classify -> flow (embryonic) -> opening -> next_hop -> rewrite
//!              |                                  |                                    ^
//!              +---- hit --------------------------+------------------------------------+
//! ```
//! A flow is a stored decision: a hit never consults routes. The walk is generic over the packet ([`packet::Packet`]),
//! the world ([`world::World`]) and the address family ([`family::Family`]); the same source runs as XDP, as TC and on
//! the host. Nothing here can panic, loop without a bound, or log.
#![cfg_attr(target_arch = "bpf", no_std)]

pub mod admission;
pub mod answer;
pub mod checksum;
pub mod classify;
pub mod family;
pub mod flow;
pub mod fragment;
pub mod icmp;
pub mod lifetime;
pub mod next_hop;
pub mod opening;
pub mod packet;
pub mod pair;
pub mod parse;
pub mod pool;
pub mod ports;
pub mod proof;
pub mod redispatch;
pub mod rewrite;
pub mod schedule;
pub mod snat;
pub mod world;

use family::{Family, Ipv4, Part};
use flow::Found;
use gwpool_common::net::{NextHop, V4};
use gwpool_common::reason::Reason;
use packet::Packet;
use parse::Parsed;
use world::{Side, Way, World};

/// Where a packet goes that is ours; one that is not ends in a [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<A> {
    /// Rewritten and addressed: send it out of the next hop's interface.
    Transmit(Reason, NextHop),
    /// Rewritten: the kernel resolves the neighbour and sends (TC only).
    Resolve(Reason, u32, A),
    /// To the local stack, or on its way out of it.
    Deliver(Reason),
    /// Untouched and uncounted: a flow is opened for it, then it is walked again, see [`opening`].
    Opens,
    /// Untouched: [`answer::make`] makes an answer of it, which leaves by the interface it came in by (TC only).
    Answer(Reason, answer::Word),
    /// Untouched and uncounted: TC beside us walks it again and finishes (XDP only).
    Unfinished,
}

/// A frame that came in by a managed interface.
///
/// # Errors
/// The reason why it is not ours, or ends here.
#[inline(always)]
pub fn ingress<P: Packet, W: World<Ipv4>>(
    packet: &mut P,
    world: &mut W,
) -> Result<Verdict<V4>, Reason> {
    ethertype(packet)?;
    match forward::<Ipv4, P, W>(packet, world) {
        Err(reason) => match answer::due::<Ipv4, W>(world, reason) {
            Some(word) if world.resolves() => Ok(Verdict::Answer(reason, word)),
            Some(_) => Ok(Verdict::Unfinished),
            None => Err(reason),
        },
        verdict => verdict,
    }
}

/// A frame the local stack sends by a managed interface: if it is this host's answer as backend, its client sees it
/// come from where it asked.
///
/// # Errors
/// The reason why it is not: it leaves as it is.
#[inline(always)]
pub fn egress<P: Packet, W: World<Ipv4>>(
    packet: &mut P,
    world: &mut W,
) -> Result<Verdict<V4>, Reason> {
    ethertype(packet)?;
    reply::<Ipv4, P, W>(packet, world)
}

/// The walk of a packet that came in.
#[inline(always)]
fn forward<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
) -> Result<Verdict<F::Address>, Reason> {
    let network = F::read(packet)?;
    if network.protocol == F::ICMP {
        return icmp::ingress::<F, P, W>(packet, world, &network);
    }
    let parsed = match network.part {
        Part::Later => fragment::follow::<F, P, W>(packet, world, &network)?,
        Part::Whole | Part::First => parse::parse::<F, P>(packet, &network)?,
    };
    let mut found = Found::none();
    if !flow::established::<F, W>(world, &parsed, &mut found)
        && !first::<F, P, W>(packet, world, &parsed, &mut found)
            .map_err(|reason| fragment::ended::<F, W>(world, network.id, &parsed, reason))?
    {
        return Ok(Verdict::Opens);
    }
    fragment::belongs::<F, W>(world, network.id, &parsed);
    if found.local() {
        if found.side() == Side::Backend {
            // What only this host itself can send has come in from outside.
            return Err(Reason::SpoofedSource);
        }
        return deliver(packet, world, &parsed, &found, Reason::SelfDelivered);
    }
    if parsed.ttl <= 1 {
        return Err(Reason::TtlExpired);
    }
    if found.resets(&parsed) && redispatch::refused::<F, W>(world, &parsed, &found) {
        return Err(Reason::BackendRefused);
    }
    let segments = packet.segments();
    let way = next_hop::way(world, &parsed, &mut found)?;
    found.settle(world);
    if !world.resolves() && !sendable(&way) {
        return Ok(Verdict::Unfinished);
    }
    rewrite::apply::<F, P>(packet, &parsed, &found.flow.rewrite, true)?;
    found.end(world, &parsed);
    world.count_carried(found.backend(), found.side(), segments, parsed.total);
    let reason = match found.side() {
        Side::Client => Reason::ToBackend,
        Side::Backend => Reason::ToClient,
    };
    leave(packet, way, reason)
}

/// The way out of a rewritten packet: addressed to its next hop, if the kernel need not resolve it first.
#[inline(always)]
fn leave<P: Packet, A>(packet: &mut P, way: Way<A>, reason: Reason) -> Result<Verdict<A>, Reason> {
    match way {
        Way::Known(hop) => {
            rewrite::address(packet, &hop)?;
            Ok(Verdict::Transmit(reason, hop))
        }
        Way::Unresolved { interface, gateway } => Ok(Verdict::Resolve(reason, interface, gateway)),
    }
}

/// The walk of a packet that no established flow has taken: a flow not yet proved, or a new one; false: one that is
/// opened after this walk.
#[inline(always)]
fn first<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &mut Found<F, W>,
) -> Result<bool, Reason> {
    let ends = classify::ends::<F, W>(world, parsed.key.source, parsed.key.destination);
    if let Err(reason) = ends
        && !classify::answers_a_client::<F, W>(world, reason)
    {
        return Err(reason);
    }
    if flow::embryonic::<F, W, P>(packet, world, parsed, found)?
        || flow::established::<F, W>(world, parsed, found)
    {
        return Ok(true);
    }
    if parsed.part == Part::Later {
        // The flow of its first fragment is gone.
        return Err(Reason::Fragment);
    }
    let opening = found.opening(parsed, world.interface(), ends?);
    world.open(&opening)?;
    Ok(false)
}

/// Between this host as backend and its client: only a port may change, on its way in or back out.
#[inline(always)]
fn deliver<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &Found<F, W>,
    reason: Reason,
) -> Result<Verdict<F::Address>, Reason> {
    found.settle(world);
    if found.flow.rewrite.port_delta != 0 {
        rewrite::apply::<F, P>(packet, parsed, &found.flow.rewrite, false)?;
    }
    found.end(world, parsed);
    world.count_carried(
        found.backend(),
        found.side(),
        packet.segments(),
        parsed.total,
    );
    Ok(Verdict::Deliver(reason))
}

/// The walk of a packet that the local stack sends.
#[inline(always)]
fn reply<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
) -> Result<Verdict<F::Address>, Reason> {
    let network = F::read(packet)?;
    if network.protocol == F::ICMP {
        return icmp::egress::<F, P, W>(packet, world, &network);
    }
    let parsed = match network.part {
        Part::Later => fragment::leave::<F, W>(world, &network)?,
        Part::Whole | Part::First => parse::parse::<F, P>(packet, &network)?,
    };
    let mut found = Found::none();
    let known = flow::established::<F, W>(world, &parsed, &mut found)
        || flow::embryonic::<F, W, P>(packet, world, &parsed, &mut found)?;
    if !known || !found.local() || found.side() == Side::Client {
        return Err(Reason::NotOurs);
    }
    if found.resets(&parsed) && redispatch::refused::<F, W>(world, &parsed, &found) {
        return Err(Reason::BackendRefused);
    }
    fragment::belongs::<F, W>(world, network.id, &parsed);
    deliver(packet, world, &parsed, &found, Reason::SelfReply)
}

/// XDP can send it by itself.
#[inline(always)]
fn sendable<A>(way: &Way<A>) -> bool {
    match way {
        Way::Known(hop) => hop.flags & NextHop::TC_ONLY == 0,
        Way::Unresolved { .. } => false,
    }
}

/// An EtherType (IEEE 802.3).
#[repr(C)]
#[derive(Clone, Copy)]
struct EtherType([u8; 2]);
plain!(EtherType = 2);

/// Untagged IPv4, or why not.
#[inline(always)]
fn ethertype<P: Packet>(packet: &mut P) -> Result<(), Reason> {
    const IPV4: u16 = 0x0800;
    const CUSTOMER_TAG: u16 = 0x8100;
    const SERVICE_TAG: u16 = 0x88a8;
    if packet.tagged() {
        return Err(Reason::VlanTagged);
    }
    let kind = *packet.at::<EtherType>(family::L3 - size_of::<EtherType>())?;
    match u16::from_be_bytes(kind.0) {
        IPV4 => Ok(()),
        CUSTOMER_TAG | SERVICE_TAG => Err(Reason::VlanTagged),
        _ => Err(Reason::NotIp),
    }
}
