//! Second stage, only for packets that no established flow has taken: is it for us, is it genuine, which route?
//!
//! In this order: what is not addressed to this host is none of ours whatever it carries;
//! a forged source ends here before any table learns of it; then the peers' rule; then the route.

use crate::family::Family;
use crate::parse::{Parsed, TCP};
use crate::world::World;
use gwpool_common::limits;
use gwpool_common::net::Address;
use gwpool_common::reason::Reason;
use gwpool_common::route::{Listener, Listening, Route};

/// What both ends of the packet are to this host.
#[derive(Clone, Copy)]
pub struct Ends {
    /// The source is a peer gateway, on the network the peers share.
    from_peer: bool,
    /// `*` covers the destination.
    listens: bool,
}

/// Knows a packet's two addresses, or says why it goes no further.
///
/// # Errors
/// [`Reason::NotOurs`], [`Reason::SpoofedSource`], [`Reason::SpoofedPeer`].
#[inline(always)]
pub fn ends<F: Family, W: World<F>>(
    world: &W,
    source: F::Address,
    destination: F::Address,
) -> Result<Ends, Reason> {
    let to = world.address(&destination).unwrap_or_default();
    // What no host can have as its source is a martian: the kernel's to drop and count.
    if to.flags & Address::OWN == 0 || !F::unicast(source) {
        return Err(Reason::NotOurs);
    }
    let from = world.address(&source).unwrap_or_default();
    if from.flags & Address::OWN != 0 {
        return Err(Reason::SpoofedSource);
    }
    let from_peer = from.flags & Address::PEER != 0;
    if from_peer && from.interface != world.interface() {
        return Err(Reason::SpoofedPeer);
    }
    if misplaced::<F, W>(world, source) {
        return Err(Reason::SpoofedSource);
    }
    Ok(Ends {
        from_peer,
        listens: to.flags & Address::LISTEN != 0,
    })
}

/// The source belongs to a guarded prefix and came in by another interface than that prefix is behind.
#[inline(always)]
fn misplaced<F: Family, W: World<F>>(world: &W, source: F::Address) -> bool {
    let mut index = 0;
    while index < limits::NETWORKS {
        let Some(network) = world.network(index) else {
            return false;
        };
        if network.interface == 0 {
            return false;
        }
        if network.interface != world.interface() && F::within(source, network.prefix, network.mask)
        {
            return true;
        }
        index += 1;
    }
    false
}

/// A new connection's route and its id.
///
/// # Errors
/// The reason why it is the local stack's: [`Reason::NotOurs`], [`Reason::FromPeer`], [`Reason::NotASyn`],
/// [`Reason::RouteOff`].
#[inline(always)]
pub fn route<F: Family, W: World<F>>(
    world: &W,
    parsed: &Parsed<F::Address>,
    ends: Ends,
) -> Result<(u32, Route), Reason> {
    let listening = listener::<F, W>(world, parsed, ends).ok_or(Reason::NotOurs)?;
    let id = listening.route;
    let route = world.route(id).ok_or(Reason::NotOurs)?;
    if ends.from_peer && route.flags & Route::SELF_BACKEND != 0 {
        return Err(Reason::FromPeer);
    }
    if parsed.key.protocol == TCP && !parsed.opens() {
        return Err(Reason::NotASyn);
    }
    if route.flags & Route::ENABLED == 0 {
        return Err(Reason::RouteOff);
    }
    Ok((id, route))
}

/// The most particular listener: the very address before `*`, as bind(2) has it.
#[inline(always)]
fn listener<F: Family, W: World<F>>(
    world: &W,
    parsed: &Parsed<F::Address>,
    ends: Ends,
) -> Option<Listening> {
    let mut listener = Listener {
        address: parsed.key.destination,
        port: parsed.key.destination_port,
        protocol: parsed.key.protocol,
        pad: 0,
    };
    if let Some(listening) = world.listener(&listener) {
        return Some(listening);
    }
    if !ends.listens {
        return None;
    }
    listener.address = F::Address::default();
    world.listener(&listener)
}
