//! Between classify and schedule: may this client have one more flow?
//!
//! The route's lists, then the client's share of the established tier: how much it holds and how fast it takes. What
//! a forged source can send counts nothing: shares are counted at the proof ([`crate::proof`]) and asked there again.

use crate::family::Family;
use crate::parse::TCP;
use crate::world::World;
use gwpool_common::flow::FlowKey;
use gwpool_common::reason::Reason;
use gwpool_common::route::{Access, Route};

/// Asks for a new flow of the route `id`.
///
/// # Errors
/// [`Reason::Denied`], [`Reason::OverShare`], [`Reason::OverRate`].
#[inline(always)]
pub fn admit<F: Family, W: World<F>>(
    world: &W,
    key: &FlowKey<F::Address>,
    id: u32,
    route: &Route,
) -> Result<(), Reason> {
    let denies_rest = route.flags & Route::DENIES_REST != 0;
    if route.flags & Route::GUARDED != 0 && is_denied::<F, W>(world, id, &key.source, denies_rest) {
        return Err(Reason::Denied);
    }
    if key.protocol == TCP {
        share::<F, W>(world, &key.source, false)?;
    }
    Ok(())
}

/// The lists that stand under `id` deny the address.
#[inline(always)]
pub fn is_denied<F: Family, W: World<F>>(
    world: &W,
    id: u32,
    address: &F::Address,
    denies_rest: bool,
) -> bool {
    let client = Access {
        route: id,
        prefix: *address,
    };
    world.access(&client, !denies_rest as u32) == 0
}

/// Asks whether the client may hold one more established flow. `inside`: it is an inside host, whose mappings are
/// counted instead of how fast it opens flows.
///
/// # Errors
/// [`Reason::OverShare`], [`Reason::OverRate`].
#[inline(always)]
pub fn share<F: Family, W: World<F>>(
    world: &W,
    client: &F::Address,
    inside: bool,
) -> Result<(), Reason> {
    let (source, settings) = (world.source(client), world.settings());
    if source.flows() >= settings.flows_per_source {
        return Err(Reason::OverShare);
    }
    if !inside && source.tick == world.now() as u32 && source.fresh >= settings.new_flows_per_source
    {
        return Err(Reason::OverRate);
    }
    Ok(())
}

/// Asks whether UDP may hold one more: a packet after an answer proves less than a handshake, so UDP has a share of
/// the tier, and what does not fit in stays embryonic.
#[inline(always)]
pub fn datagrams<F: Family, W: World<F>>(
    world: &W,
    protocol: u8,
    client: &F::Address,
    inside: bool,
) -> bool {
    world.share(protocol).flows() < world.settings().udp_flows as u64
        && share::<F, W>(world, client, inside).is_ok()
}
