//! What makes a flow more than a guess: both halves, an answer, and a client that has seen it. Then it is promoted.
//!
//! A blind SYN and ACK prove nothing: TCP's proof is the backend's initial sequence number + 1.

use crate::admission;
use crate::family::Family;
use crate::lifetime;
use crate::packet::Packet;
use crate::pair::mate;
use crate::parse::{Parsed, TCP, TcpHeader, tcp};
use crate::snat::refusal;
use crate::world::{Refused, Step, World};
use gwpool_common::flow::{Embryo, Flow};
use gwpool_common::reason::Reason;

/// The backend's half, if it is there and names this one.
#[inline(always)]
pub fn half<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    flow: &Flow<F::Address>,
) -> Option<Embryo<F::Address>> {
    let at = world.embryonic(&mate(parsed.key.protocol, &flow.rewrite))?;
    let other = world.embryo(at);
    if mate(parsed.key.protocol, &other.flow.rewrite) == parsed.key {
        Some(other)
    } else {
        None
    }
}

/// This client packet shows that the backend has spoken with the client.
#[inline(always)]
pub fn proves<A: Copy, P: Packet>(
    packet: &mut P,
    parsed: &Parsed<A>,
    other: &Embryo<A>,
) -> Result<bool, Reason> {
    if other.flow.flags & Flow::<A>::REPLIED == 0 {
        return Ok(false);
    }
    if parsed.key.protocol != TCP {
        return Ok(true);
    }
    if parsed.flags & (tcp::ACK | tcp::SYN | tcp::RST) != tcp::ACK {
        return Ok(false);
    }
    if other.flow.flags & Flow::<A>::PICKED_UP != 0 {
        // Its numbers were never seen here; an answer has come, and it goes on.
        return Ok(true);
    }
    let header = packet.get::<TcpHeader>(parsed.l4)?;
    Ok(u32::from_be_bytes(header.acknowledgment) == other.proof)
}

/// Moves both halves to the established tier: the backend's first, undone if the client's finds no room. False: the
/// flow stays embryonic, because UDP holds its share of the tier, or other CPUs are at the same places.
///
/// # Errors
/// [`Reason::OverShare`], [`Reason::OverRate`], [`Reason::TableFull`]: the handshake is over, its client is told.
#[inline(always)]
pub fn promote<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    flow: &Flow<F::Address>,
    other: &Flow<F::Address>,
) -> Result<bool, Reason> {
    let (protocol, client) = (parsed.key.protocol, parsed.key.source);
    let inside = lifetime::is_nat::<F, W>(world, flow);
    let stored = if protocol != TCP {
        if !admission::datagrams::<F, W>(world, protocol, &client, inside) {
            return Ok(false);
        }
        store::<F, W>(world, parsed, flow, other)
    } else {
        match admission::share::<F, W>(world, &client, inside) {
            Ok(()) => store::<F, W>(world, parsed, flow, other),
            refusal => refusal,
        }
    };
    if stored == Err(Reason::Overtaken) || protocol != TCP && stored.is_err() {
        return Ok(false);
    }
    if !world.resolves() {
        // TC walks the packet again to answer it, and must find what was found here.
        stored?;
    }
    world.forget(&mate(protocol, &flow.rewrite));
    world.forget(&parsed.key);
    stored?;
    world.move_share(protocol, &client, Step::Up);
    world.move_load(flow.backend_id(), Step::Up);
    Ok(true)
}

#[inline(always)]
fn store<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    flow: &Flow<F::Address>,
    other: &Flow<F::Address>,
) -> Result<(), Reason> {
    let backend_key = mate(parsed.key.protocol, &flow.rewrite);
    let inserted = match world.establish(&backend_key, other) {
        Ok(()) => true,
        // Another CPU promotes the same flow: as good as done here.
        Err(Refused::Taken) => false,
        Err(refused) => return Err(refusal(refused)),
    };
    match world.establish(&parsed.key, flow) {
        Ok(()) | Err(Refused::Taken) => Ok(()),
        Err(refused) => {
            if inserted {
                world.retire(&backend_key);
            }
            Err(refusal(refused))
        }
    }
}
