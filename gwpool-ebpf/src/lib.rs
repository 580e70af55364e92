//! The pipeline: what becomes of a packet, decided without a kernel in sight.
//!
//! ```text
//!   parse -> classify -> flow (established) -> classify -> flow (embryonic) -> opening -> next_hop -> rewrite
//!               |          |                                  |                                   ^
//!    nobody's <-+          +---- hit -------------------------+-----------------------------------+
//! ```
//! What can be no flow's, nor open one, ends before any is looked for. A flow is a stored decision: a hit never consults
//! routes. A flow is a connection of a route, or one that is translated for an inside host ([`nat`]). The walk is generic
//! over the packet ([`packet::Packet`]), the world ([`world::World`]) and the address family ([`family::Family`]); the same
//! source runs as XDP, as TC and on the host. Nothing here can panic, loop without a bound, or log.
#![cfg_attr(target_arch = "bpf", no_std)]

pub mod admission;
pub mod answer;
pub mod checksum;
pub mod claim;
pub mod classify;
pub mod family;
pub mod flow;
pub mod fragment;
pub mod guard;
pub mod icmp;
pub mod lifetime;
pub mod mapping;
pub mod nat;
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
pub mod tier;
pub mod translation;
pub mod world;

use family::{Family, Ipv4, Network, Part};
use flow::Found;
use gwpool_common::nat::Nat;
use gwpool_common::net::{NextHop, V4};
use gwpool_common::reason::Reason;
use gwpool_common::route::Listening;
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

/// A frame that leaves by a managed interface: if it is this host's answer as backend, its client sees it come from
/// where it asked; if it would leave a translating host untranslated, see [`guard`].
///
/// # Errors
/// The reason why it is neither: it leaves as it is, or ends here.
#[inline(always)]
pub fn egress<P: Packet, W: World<Ipv4>>(
    packet: &mut P,
    world: &mut W,
) -> Result<Verdict<V4>, Reason> {
    let guards = guard::stands::<Ipv4, W>(world);
    if !guards && world.sent_on() {
        return Err(Reason::NotOurs);
    }
    ethertype(packet)?;
    let network = Ipv4::read(packet)?;
    let shown = guards && guard::shows::<Ipv4, W>(world, &network);
    if !shown && world.sent_on() {
        return Err(Reason::NotOurs);
    }
    match reply::<Ipv4, P, W>(packet, world, &network, (guards, shown)) {
        Err(reason) if shown => Err(guard::ends(reason)),
        verdict => verdict,
    }
}

/// The walk of a packet that came in.
#[inline(always)]
fn forward<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
) -> Result<Verdict<F::Address>, Reason> {
    let network = F::read(packet)?;
    if classify::passes_by::<F, W>(world, network.destination) {
        return Err(Reason::NotOurs);
    }
    let any = translates::<F, W>(world);
    if network.protocol == F::ICMP && !(any && parse::is_query(packet, &network)) {
        return icmp::ingress::<F, P, W>(packet, world, &network);
    }
    let parsed = if network.part == Part::Later && parse::has_ports(network.protocol) {
        fragment::follow::<F, P, W>(packet, world, &network)?
    } else {
        parse::parse::<F, P>(packet, &network, any)?
    };
    if parsed.part == Part::Whole && !flow::possible::<F, W>(world, &parsed.key) {
        return Err(classify::nobodys::<F, W>(world, &parsed));
    }
    let mut found = Found::none();
    if !flow::established::<F, W>(world, &parsed, &mut found)
        && !first::<F, P, W>(packet, world, &parsed, &mut found)
            .map_err(|reason| fragment::ended::<F, W>(world, network.id, &parsed, reason))?
    {
        return Ok(Verdict::Opens);
    }
    fragment::belongs::<F, W>(world, network.id, &parsed);
    if !found.arrives(world, &parsed.key) {
        return Err(Reason::SpoofedSource);
    }
    if found.local() {
        return deliver(packet, world, &parsed, &found, found.bound(&parsed.key));
    }
    if parsed.ttl <= 1 {
        return Err(past(found.bound(&parsed.key), Reason::TtlExpired));
    }
    if found.resets(&parsed) && redispatch::refused::<F, W>(world, &parsed, &found) {
        return Err(Reason::BackendRefused);
    }
    let segments = packet.segments();
    let way = match next_hop::way(world, &parsed, &mut found) {
        Err(reason) => return Err(past(found.bound(&parsed.key), reason)),
        Ok(way) => way,
    };
    found.settle(world);
    if !world.resolves() && !sendable(&way) {
        return Ok(Verdict::Unfinished);
    }
    rewrite::apply::<F, P>(packet, &parsed, &found.flow.rewrite, true)?;
    world.count_carried(found.backend(), found.side(), segments, parsed.total);
    found.end(world, &parsed);
    leave(packet, way, found.bound(&parsed.key))
}

/// This host has flows for more than TCP and UDP.
#[inline(always)]
fn translates<F: Family, W: World<F>>(world: &W) -> bool {
    world.nat().flags & Nat::<F::Address>::ON != 0
}

/// What ends here on its way outside is the kernel's to answer, which has the packet as its sender knows it.
#[inline(always)]
fn past(bound: Reason, reason: Reason) -> Reason {
    match (bound, reason) {
        (Reason::ToOutside, Reason::TtlExpired | Reason::TooBig) => Reason::LeftToKernel,
        _ => reason,
    }
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
    let ends = ends?;
    if ends.is_outward() {
        if parsed.ttl <= 1 {
            return Err(Reason::LeftToKernel);
        }
    } else if parsed.key.protocol != parse::TCP && parsed.key.protocol != parse::UDP {
        return Err(Reason::OtherProtocol);
    }
    let mut opening = found.opening(parsed, world.interface(), ends);
    if !ends.is_outward() {
        opening.listening = match classify::route::<F, W>(world, &opening) {
            // Nobody's, or an inside host's.
            Err(Reason::NotOurs) if translates::<F, W>(world) => Listening::default(),
            listening => listening?,
        };
    }
    world.open(&opening)?;
    Ok(false)
}

/// Between this host and its client, or, translated, whoever it speaks with: on its way in or back out. For a backend
/// only a port may change.
#[inline(always)]
fn deliver<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &Found<F, W>,
    reason: Reason,
) -> Result<Verdict<F::Address>, Reason> {
    found.settle(world);
    if pair::changes(&parsed.key, &found.flow.rewrite) {
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
    network: &Network<F::Address>,
    (guards, shown): (bool, bool),
) -> Result<Verdict<F::Address>, Reason> {
    if network.protocol == F::ICMP && !(guards && parse::is_query(packet, network)) {
        return icmp::egress::<F, P, W>(packet, world, network);
    }
    let parsed = if network.part == Part::Later && parse::has_ports(network.protocol) {
        fragment::leave::<F, W>(world, network)?
    } else {
        parse::parse::<F, P>(packet, network, guards)?
    };
    if !flow::possible::<F, W>(world, &parsed.key) {
        return Err(Reason::NotOurs);
    }
    let mut found = Found::none();
    let known = flow::established::<F, W>(world, &parsed, &mut found)
        || flow::embryonic::<F, W, P>(packet, world, &parsed, &mut found)?;
    if !known && guards && parsed.part != Part::Later {
        return guard::first::<F, W>(world, &parsed, &found, shown);
    }
    let own = found.local() || shown && found.is_nat();
    if !known || !own || found.is_nat() != (found.side() == Side::Client) {
        return Err(Reason::NotOurs);
    }
    if found.resets(&parsed) && redispatch::refused::<F, W>(world, &parsed, &found) {
        return Err(Reason::BackendRefused);
    }
    fragment::belongs::<F, W>(world, network.id, &parsed);
    let reason = if found.is_nat() {
        Reason::HostTranslated
    } else {
        Reason::SelfReply
    };
    deliver(packet, world, &parsed, &found, reason)
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
    let kind = packet.get::<EtherType>(family::L3 - size_of::<EtherType>())?;
    match u16::from_be_bytes(kind.0) {
        IPV4 => Ok(()),
        CUSTOMER_TAG | SERVICE_TAG => Err(Reason::VlanTagged),
        _ => Err(Reason::NotIp),
    }
}
