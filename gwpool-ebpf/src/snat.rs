//! Fifth stage: a new flow's source port, and the flow itself into the table, backend side first.
//!
//! The insert of the backend side entry, which fails if the key is taken, is the only authority on whether a port is
//! free; a key counts as free only if both tiers say so. Full NAT keeps out of the host's own ephemeral ports.

use crate::family::Family;
use crate::flow::Found;
use crate::lifetime;
use crate::pair;
use crate::parse::Parsed;
use crate::world::{Refused, World};
use gwpool_common::flow::{Embryo, Flow, FlowKey, Rewrite};
use gwpool_common::limits::{self, Settings};
use gwpool_common::reason::Reason;
use gwpool_common::route::Backend;

/// Stores a new flow to `backend` in the embryonic tier.
///
/// # Errors
/// [`Reason::NoFreePort`], [`Reason::TableFull`], [`Reason::Overtaken`].
#[inline(always)]
pub fn begin<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    id: u32,
    backend: &Backend<F::Address>,
    found: &mut Found<F, W>,
) -> Result<(), Reason> {
    let [low, middle, high, _] = id.to_le_bytes();
    let is_self = backend.flags & Backend::<F::Address>::SELF != 0;
    let mut flow = Flow {
        rewrite: Rewrite::default(),
        backend: [low, middle, high],
        flags: if is_self {
            Flow::<F::Address>::LOCAL
        } else {
            0
        },
        next_hop: 0,
        seen: world.now(),
    };
    // For ourselves the packet keeps its addresses: NodePorts listen on all of them.
    let (source, destination) = if is_self {
        (parsed.key.source, parsed.key.destination)
    } else {
        (backend.source, backend.address)
    };
    let port = search::<F, W>(
        world,
        &parsed.key,
        source,
        (destination, backend.port),
        is_self,
    )?;
    flow.rewrite = pair::rewrite::<F>(&parsed.key, (source, port), (destination, backend.port));
    store::<F, W>(world, &parsed.key, &flow)?;
    found.stored(flow);
    Ok(())
}

/// The first source port with which the backend side's key is free. Only look-ups: what is inserted after the loop
/// the verifier walks once, inside it would be walked for every try (twice the instructions in all).
#[inline(always)]
fn search<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    source: F::Address,
    destination: (F::Address, [u8; 2]),
    is_self: bool,
) -> Result<[u8; 2], Reason> {
    let settings = world.settings();
    let start = scatter::<F>(key, settings.port_seed);
    let mut attempt = 0;
    while attempt < 32 {
        if let Some(port) = candidate(&settings, key.source_port, is_self, start, attempt) {
            let backend_key = FlowKey {
                source: destination.0,
                destination: source,
                source_port: destination.1,
                destination_port: port,
                protocol: key.protocol,
                pad: [0; 3],
            };
            if !taken::<F, W>(world, &backend_key) {
                return Ok(port);
            }
        }
        attempt += 1;
    }
    Err(Reason::NoFreePort)
}

/// Some flow has the key, in either tier; one that is over but still stored makes room.
#[inline(always)]
fn taken<F: Family, W: World<F>>(world: &mut W, key: &FlowKey<F::Address>) -> bool {
    if world.established(key).is_some() {
        return true;
    }
    let Some(at) = world.embryonic(key) else {
        return false;
    };
    let idle = lifetime::age(world.embryo(at).flow.seen, world.now());
    if idle < lifetime::ticks(limits::HANDSHAKE_S, world.settings().ticks_per_1024_s) {
        return true;
    }
    world.forget(key);
    false
}

/// The port to try: the client's own first, if it may be used, then one after the other from `start` on.
#[inline(always)]
fn candidate(
    settings: &Settings,
    own: [u8; 2],
    is_self: bool,
    start: u32,
    attempt: u32,
) -> Option<[u8; 2]> {
    let (low, high) = (
        settings.port_low_count as u32,
        settings.port_high_count as u32,
    );
    if attempt == 0 {
        let port = u16::from_be_bytes(own);
        let outside = port.wrapping_sub(settings.port_low_first) < settings.port_low_count
            || port.wrapping_sub(settings.port_high_first) < settings.port_high_count;
        return if is_self || outside { Some(own) } else { None };
    }
    let step = start.wrapping_add(attempt).checked_rem(low + high)?;
    let port = if step < low {
        settings.port_low_first as u32 + step
    } else {
        settings.port_high_first as u32 + (step - low)
    };
    Some((port as u16).to_be_bytes())
}

/// Where the search begins: the same for the same client, unknown to anybody without the seed (RFC 6056 3.3.3).
#[inline(always)]
fn scatter<F: Family>(key: &FlowKey<F::Address>, seed: u32) -> u32 {
    let ports = [
        key.source_port[0],
        key.source_port[1],
        key.destination_port[0],
        key.destination_port[1],
    ];
    let mut hash = seed ^ F::low(key.source);
    hash = hash.rotate_left(13).wrapping_mul(0x9e37_79b1) ^ u32::from_be_bytes(ports);
    hash = hash.rotate_left(15).wrapping_mul(0x85eb_ca6b);
    hash ^ (hash >> 16)
}

/// Both halves into the embryonic tier, backend side first; what this CPU has inserted it takes back if it must.
#[inline(always)]
fn store<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    flow: &Flow<F::Address>,
) -> Result<(), Reason> {
    let backend_key = pair::mate(key.protocol, &flow.rewrite);
    let backend_flow = Flow {
        rewrite: pair::reverse(key, &flow.rewrite),
        flags: flow.flags | Flow::<F::Address>::BACKEND_SIDE,
        ..*flow
    };
    let backend = Embryo {
        flow: backend_flow,
        ..Embryo::default()
    };
    world.conceive(&backend_key, &backend).map_err(refusal)?;
    let client = Embryo {
        flow: *flow,
        ..Embryo::default()
    };
    world.conceive(key, &client).map_err(|refused| {
        world.forget(&backend_key);
        refusal(refused)
    })
}

/// Taken, though it was free a moment ago: another CPU was quicker.
#[inline(always)]
fn refusal(refused: Refused) -> Reason {
    match refused {
        Refused::Taken => Reason::Overtaken,
        Refused::Full => Reason::TableFull,
    }
}
