//! Of the opening, for translation: which outside socket an inside one is seen as (RFC 4787 4.1: endpoint-independent).
//!
//! A known socket is seen as before; for another one an outside end is claimed ([`crate::claim`]). This host's own
//! sockets stand in the same table, mapped to themselves.

use crate::claim::Claim;
use crate::family::Family;
use crate::lifetime;
use crate::pair::mate;
use crate::parse::{TCP, UDP};
use crate::pool;
use crate::world::{Refused, Step, World};
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::limits;
use gwpool_common::nat::{End, Mapped, Mapping, Nat, Permission};
use gwpool_common::net::Port;
use gwpool_common::reason::Reason;

/// The inside end of what sends a packet with this key.
#[inline(always)]
pub fn inside<A: Copy>(key: &FlowKey<A>) -> End<A> {
    End {
        address: key.source,
        port: key.source_port,
        protocol: key.protocol,
        side: End::<A>::INSIDE,
    }
}

/// The outside end that a packet with this key is sent to.
#[inline(always)]
pub fn outside<A: Copy>(key: &FlowKey<A>) -> End<A> {
    End {
        address: key.destination,
        port: key.destination_port,
        protocol: key.protocol,
        side: End::<A>::OUTSIDE,
    }
}

/// Both ends of the mapping that a translated flow goes by: inside, outside.
#[inline(always)]
pub fn ends<A: Copy>(key: &FlowKey<A>, flow: &Flow<A>) -> (End<A>, End<A>) {
    let answer = mate(key.protocol, &flow.rewrite);
    if flow.flags & Flow::<A>::BACKEND_SIDE != 0 {
        (inside(&answer), outside(key))
    } else {
        (inside(key), outside(&answer))
    }
}

/// The end that the entry of this one points to.
#[inline(always)]
pub fn other<A: Copy>(end: &End<A>, mapping: &Mapping<A>) -> End<A> {
    End {
        address: mapping.address,
        port: mapping.port,
        protocol: end.protocol,
        side: End::<A>::INSIDE ^ End::<A>::OUTSIDE ^ end.side,
    }
}

/// A translated flow that a packet has used, the first in this tick.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept<A> {
    /// The packet's five-tuple.
    pub key: FlowKey<A>,
    /// The flow's entry for it.
    pub flow: Flow<A>,
}

/// Keeps the flow's mapping alive, and makes it anew if it is gone. In the kernel that is done after the walk, as
/// [`crate::opening::open`]: the verifier looks at it once.
#[inline(always)]
pub fn keep<F: Family, W: World<F>>(world: &mut W, Kept { key, flow }: &Kept<F::Address>) {
    if pool::place(key.protocol).is_none() {
        return;
    }
    let (inside, outside) = ends(key, flow);
    if flow.flags & Flow::<F::Address>::BACKEND_SIDE == 0 {
        permit::<F, W>(world, &outside, key.destination);
    }
    let now = world.now();
    if !world.touch(&inside, now) {
        // Taken by another meanwhile: the flow goes on without a mapping.
        let _ = join::<F, W>(world, &inside, &outside);
    }
}

/// Remembers that the mapping has sent to this address, where answers from it are let in.
#[inline(always)]
pub fn permit<F: Family, W: World<F>>(
    world: &mut W,
    outside: &End<F::Address>,
    remote: F::Address,
) {
    if filtering(world.nat(), outside.protocol) == Nat::<F::Address>::BY_ADDRESS {
        world.permit(&permission(outside, remote));
    }
}

/// Somebody at this address, whom no flow of the mapping speaks with, may send to it (RFC 4787 5).
#[inline(always)]
pub fn lets_in<F: Family, W: World<F>>(
    world: &W,
    outside: &End<F::Address>,
    remote: F::Address,
) -> bool {
    let nat = world.nat();
    match filtering(nat, outside.protocol) {
        kind if kind == Nat::<F::Address>::OPEN => true,
        kind if kind == Nat::<F::Address>::BY_ADDRESS => {
            let Some(seen) = world.permitted(&permission(outside, remote)) else {
                return false;
            };
            let limit_s = lifetime::nat_idle_s(nat, outside.protocol);
            let limit = lifetime::lapse(limit_s, world.settings().ticks_per_1024_s);
            lifetime::age(seen, world.now()) < limit
        }
        _ => false,
    }
}

#[inline(always)]
fn filtering<A>(nat: &Nat<A>, protocol: u8) -> u8 {
    match protocol {
        TCP => nat.tcp_filtering,
        UDP => nat.udp_filtering,
        _ => Nat::<A>::BY_FLOW,
    }
}

#[inline(always)]
fn permission<A: Copy>(outside: &End<A>, remote: A) -> Permission<A> {
    Permission {
        outside: outside.address,
        remote,
        port: outside.port,
        protocol: outside.protocol,
        pad: 0,
    }
}

/// The mapping of the socket that sends a packet with this key, made if there is none. `own`: the socket is this
/// host's. What it is seen as is filled in, not returned: in a `Result` it shares registers with the error ("bitwise
/// operator &= on pointer prohibited").
///
/// # Errors
/// [`Reason::NatOverPorts`], [`Reason::NatExhausted`], [`Reason::TableFull`].
#[inline(always)]
pub fn of<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    own: bool,
    seen_as: &mut (F::Address, Port),
) -> Result<(), Reason> {
    let inside = inside(key);
    if let Some(known) = world.mapping(&inside) {
        if address_place::<F>(world.nat(), known.address).is_some() {
            let now = world.now();
            world.touch(&inside, now);
            *seen_as = (known.address, known.port);
            return Ok(());
        }
        // Of an address that this host does not translate to any more: its flows go on, new ones get another.
        world.unmap(&inside);
    }
    if !own && world.subscriber(&key.source) >= world.nat().ports_per_host {
        return Err(Reason::NatOverPorts);
    }
    let (place, address) = pair::<F>(world.nat(), key.source).ok_or(Reason::NatExhausted)?;
    let mut claim = Claim::<F>::new(world, key, (place, address), own);
    claim.run(world)?;
    let (outside, shared) = claim.end();
    *seen_as = (outside.address, outside.port);
    if shared {
        world.count_redispatch(0);
        return Ok(());
    }
    match world.map(&inside, &mapped(&outside, world.now())) {
        Ok(()) => {}
        Err(Refused::Taken | Refused::Busy) => {
            // Another CPU has mapped the same socket.
            world.unmap(&outside);
            let known = world.mapping(&inside).ok_or(Reason::Overtaken)?;
            *seen_as = (known.address, known.port);
            return Ok(());
        }
        Err(Refused::Full) => {
            world.unmap(&outside);
            return Err(Reason::TableFull);
        }
    }
    begins::<F, W>(world, &inside, &outside);
    Ok(())
}

/// Both ends, unless the outside one is somebody's.
#[inline(always)]
fn join<F: Family, W: World<F>>(
    world: &mut W,
    inside: &End<F::Address>,
    outside: &End<F::Address>,
) -> Result<(), Refused> {
    let now = world.now();
    world.map(outside, &mapped(inside, now))?;
    world
        .map(inside, &mapped(outside, now))
        .inspect_err(|_| world.unmap(outside))?;
    begins::<F, W>(world, inside, outside);
    Ok(())
}

#[inline(always)]
fn begins<F: Family, W: World<F>>(
    world: &mut W,
    inside: &End<F::Address>,
    outside: &End<F::Address>,
) {
    world.move_subscriber(&inside.address, Step::Up);
    tell::<F, W>(world, inside, outside, Mapped::<F::Address>::BEGINS);
}

/// Has the daemon log what has become of a mapping, if it logs them.
#[inline(always)]
pub fn tell<F: Family, W: World<F>>(
    world: &mut W,
    inside: &End<F::Address>,
    outside: &End<F::Address>,
    what: u32,
) {
    if world.nat().flags & Nat::<F::Address>::LOGS != 0 {
        world.log(&Mapped {
            inside: *inside,
            outside: *outside,
            what,
        });
    }
}

/// The other end, as it is stored.
#[inline(always)]
fn mapped<A: Copy>(other: &End<A>, now: u16) -> Mapping<A> {
    Mapping {
        address: other.address,
        port: other.port,
        seen: now,
    }
}

/// The NAT address that an inside host is seen as, always the same (RFC 4787 REQ-2), and its place; a NAT address is seen
/// as itself.
#[inline(always)]
pub fn pair<F: Family>(nat: &Nat<F::Address>, source: F::Address) -> Option<(u32, F::Address)> {
    if let Some(place) = address_place::<F>(nat, source) {
        return Some((place, source));
    }
    let hash = F::low(source).wrapping_mul(0x9e37_79b1) >> 16;
    // LLVM knows that this is within bounds, the verifier wants to see the mask.
    let place = core::hint::black_box(hash.checked_rem(nat.address_count)?);
    let place = place as usize & (limits::NAT_ADDRESSES as usize - 1);
    Some((place as u32, nat.addresses[place]))
}

/// Where this NAT address stands.
#[inline(always)]
pub fn address_place<F: Family>(nat: &Nat<F::Address>, address: F::Address) -> Option<u32> {
    let mut place = 0;
    while place < limits::NAT_ADDRESSES && place < nat.address_count {
        if nat.addresses[place as usize] == address {
            return Some(place);
        }
        place += 1;
    }
    None
}
