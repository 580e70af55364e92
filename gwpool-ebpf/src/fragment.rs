//! Beside the walk: fragments (RFC 791 2.3). The first one of a packet has its ports and walks like any other; what it
//! turned out to be is kept for those that follow, of which only the IP header is rewritten.
//!
//! ```text
//!   first:  parse -> ... walk ... -> settle           (FRAGMENTS: a flow's ports, or passed, or dropped)
//!   later:  follow -> found: the walk, by the ports of the first
//!                  -> not found: held (to the daemon, which sends it in again), or the kernel's if there is no room
//! ```
//! Only packets to this host leave a trace, so what is merely forwarded costs nothing.

use crate::classify;
use crate::family::{Family, Network, Part};
use crate::lifetime;
use crate::packet::Packet;
use crate::parse::{Parsed, Ports};
use crate::world::World;
use gwpool_common::flow::FlowKey;
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits::{self, Settings};
use gwpool_common::net::Address;
use gwpool_common::reason::{Fate, Reason};

/// A later fragment that came in, by what its first one has said.
///
/// # Errors
/// Where the first one was no flow's: [`Reason::Fragment`], [`Reason::FragmentDropped`];
/// where it is not known what [`hold`] says.
#[inline(always)]
pub fn follow<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    network: &Network<F::Address>,
) -> Result<Parsed<F::Address>, Reason> {
    match recall(world, network) {
        Some(first) => by(network, &first),
        None => Err(hold(packet, world, network)),
    }
}

/// A later fragment that the local stack sends.
///
/// # Errors
/// As [`follow`], but nothing is held: it leaves as it is.
#[inline(always)]
pub fn leave<F: Family, W: World<F>>(
    world: &W,
    network: &Network<F::Address>,
) -> Result<Parsed<F::Address>, Reason> {
    match recall(world, network) {
        Some(first) => by(network, &first),
        None => Err(Reason::NotOurs),
    }
}

/// What the first fragment has said, if it is known and not too old.
#[inline(always)]
fn recall<F: Family, W: World<F>>(world: &W, network: &Network<F::Address>) -> Option<First> {
    let first = world.first(&packet(network))?;
    let limit = lifetime::ticks(limits::FRAGMENT_S, world.settings().ticks_per_1024_s);
    if lifetime::age(first.seen, world.now()) >= limit {
        return None;
    }
    Some(first)
}

/// The packet as the first fragment has it, without flags: it has had its say.
#[inline(always)]
fn by<A: Copy>(network: &Network<A>, first: &First) -> Result<Parsed<A>, Reason> {
    match first.fate {
        First::FLOW => Ok(Parsed {
            key: Ports {
                source: first.source_port,
                destination: first.destination_port,
            }
            .key(network),
            l4: network.l4,
            total: network.total,
            largest: network.total,
            ttl: network.ttl,
            tos: network.tos,
            flags: 0,
            part: Part::Later,
        }),
        First::DROPPED => Err(Reason::FragmentDropped),
        _ => Err(Reason::Fragment),
    }
}

/// Its first fragment is not known: the daemon keeps it until that comes.
#[inline(always)]
fn hold<F: Family, P: Packet, W: World<F>>(
    packet: &mut P,
    world: &mut W,
    network: &Network<F::Address>,
) -> Reason {
    match classify::ends::<F, W>(world, network.source, network.destination) {
        Err(Reason::NotOurs) if !answers::<F, W>(world, network.source) => Reason::NotOurs,
        Err(reason) if reason != Reason::NotOurs => reason,
        _ if world.hold(packet) => Reason::FragmentHeld,
        _ => Reason::Fragment,
    }
}

/// Somebody behind a destination network, where some backend may answer clients as itself (`source: preserve`): what
/// he sends may be a flow's, though it is not addressed to this host.
#[inline(always)]
fn answers<F: Family, W: World<F>>(world: &W, source: F::Address) -> bool {
    world.settings().flags & Settings::PRESERVES != 0
        && classify::guarded::<F, W>(world, source, true)
}

/// Keeps for the later fragments that the first one belongs to a flow.
#[inline(always)]
pub fn belongs<F: Family, W: World<F>>(world: &mut W, id: [u8; 2], parsed: &Parsed<F::Address>) {
    if parsed.part == Part::First {
        remember::<F, W>(world, id, parsed, First::FLOW);
    }
}

/// Keeps for the later fragments why the first one is no flow's, unless it is not for this host; gives the reason back.
#[inline(always)]
pub fn ended<F: Family, W: World<F>>(
    world: &mut W,
    id: [u8; 2],
    parsed: &Parsed<F::Address>,
    reason: Reason,
) -> Reason {
    if parsed.part == Part::First && (reason != Reason::NotOurs || ours::<F, W>(world, &parsed.key))
    {
        let fate = match reason.fate() {
            Fate::Dropped => First::DROPPED,
            Fate::Carried | Fate::Passed => First::PASSED,
        };
        remember::<F, W>(world, id, parsed, fate);
    }
    reason
}

/// A later fragment like this would be held.
#[inline(always)]
fn ours<F: Family, W: World<F>>(world: &W, key: &FlowKey<F::Address>) -> bool {
    let to = world.address(&key.destination).unwrap_or_default();
    to.flags & Address::OWN != 0 || answers::<F, W>(world, key.source)
}

#[inline(always)]
fn remember<F: Family, W: World<F>>(
    world: &mut W,
    id: [u8; 2],
    parsed: &Parsed<F::Address>,
    fate: u16,
) {
    let first = First {
        source_port: parsed.key.source_port,
        destination_port: parsed.key.destination_port,
        fate,
        seen: world.now(),
    };
    let key = Fragmented {
        source: parsed.key.source,
        destination: parsed.key.destination,
        id,
        protocol: parsed.key.protocol,
        pad: 0,
    };
    world.remember(&key, &first);
}

/// The packet that this is a fragment of.
#[inline(always)]
pub fn packet<A: Copy>(network: &Network<A>) -> Fragmented<A> {
    Fragmented {
        source: network.source,
        destination: network.destination,
        id: network.id,
        protocol: network.protocol,
        pad: 0,
    }
}
