//! Second stage, only for packets that no established flow has taken: is it for us, is it genuine, which route? What can be
//! no flow's by its ports alone ends here before any flow is looked for.
//!
//! For the others in this order: what is not addressed to this host is none of ours whatever it carries;
//! a forged source ends here before any table learns of it; then the peers' rule; then the route.

use crate::family::Family;
use crate::opening::Opening;
use crate::parse::{Parsed, TCP, opens};
use crate::world::World;
use gwpool_common::flow::FlowKey;
use gwpool_common::limits::{self, Settings};
use gwpool_common::nat::Nat;
use gwpool_common::net::Address;
use gwpool_common::reason::Reason;
use gwpool_common::route::{Listener, Listening, Route};

/// What both ends of the packet are to this host.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends(u8);

impl Ends {
    /// The source is a peer gateway, on the network the peers share.
    const FROM_PEER: u8 = 1;
    /// `*` covers the destination.
    const LISTENS: u8 = 2;
    /// From inside, and not to this host.
    const OUTWARD: u8 = 4;
    /// The same, but the source is not of inside.
    const STRANGER: u8 = 8;
    /// This host sends it itself.
    const OWN: u8 = 16;

    /// A packet that this host sends itself.
    #[inline(always)]
    pub const fn own() -> Self {
        Ends(Self::OWN)
    }

    /// It is.
    #[inline(always)]
    pub const fn is_own(self) -> bool {
        self.0 & Self::OWN != 0
    }

    /// From inside, and not to this host: translated if it leaves by the outside interface.
    #[inline(always)]
    pub const fn is_outward(self) -> bool {
        self.0 & Self::OUTWARD != 0
    }

    /// By its source it does not belong inside.
    #[inline(always)]
    pub const fn is_stranger(self) -> bool {
        self.0 & Self::STRANGER != 0
    }
}

/// The packet is addressed past this host, and to nobody a flow of ours could end at: asked of a word that every packet
/// has at hand, so who passes by costs next to nothing. False: it may be ours.
#[inline(always)]
pub fn passes_by<F: Family, W: World<F>>(world: &W, destination: F::Address) -> bool {
    let settings = world.settings();
    world.nat().flags & Nat::<F::Address>::ON == 0
        && settings.flags & Settings::PRESERVES == 0
        && !settings.may_own(F::low(destination))
}

/// What becomes of a packet that can be no flow's by its ports, nor open one: what the rest of the walk would say. Nearly
/// always its addresses need not be looked up for that. Most of what hosts of the cluster say to this one is such.
#[inline(always)]
pub fn nobodys<F: Family, W: World<F>>(world: &W, parsed: &Parsed<F::Address>) -> Reason {
    let key = &parsed.key;
    let reason = match whence::<F, W>(world, key.source) {
        Err(reason) => reason,
        Ok(_) if refuses::<F, W>(world, world.interface(), key, parsed.flags) => Reason::Undeclared,
        Ok(_) => return Reason::NotOurs,
    };
    let to = world.address(&key.destination).unwrap_or_default();
    let asks = match reason {
        Reason::Undeclared => Address::OWN | Address::LISTEN,
        _ => Address::OWN,
    };
    if to.flags & asks == asks && F::unicast(key.source) {
        reason
    } else {
        Reason::NotOurs
    }
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
    if !F::unicast(source) {
        return Err(Reason::NotOurs);
    }
    let past = to.flags & Address::OWN == 0;
    if past && world.nat().flags & Nat::<F::Address>::ON == 0 {
        return Err(Reason::NotOurs);
    }
    if past {
        return past_this_host::<F, W>(world, source, destination);
    }
    let mut ends = 0;
    if whence::<F, W>(world, source)? {
        ends |= Ends::FROM_PEER;
    }
    if to.flags & Address::LISTEN != 0 {
        ends |= Ends::LISTENS;
    }
    Ok(Ends(ends))
}

/// Whether a packet to this host comes from a peer.
///
/// # Errors
/// [`Reason::SpoofedSource`], [`Reason::SpoofedPeer`].
#[inline(always)]
fn whence<F: Family, W: World<F>>(world: &W, source: F::Address) -> Result<bool, Reason> {
    let mut from_peer = false;
    if world.settings().may_know(F::low(source)) {
        let from = world.address(&source).unwrap_or_default();
        if from.flags & Address::OWN != 0 {
            return Err(Reason::SpoofedSource);
        }
        from_peer = from.flags & Address::PEER != 0;
        if from_peer && from.interface != world.interface() {
            return Err(Reason::SpoofedPeer);
        }
    }
    if guarded::<F, W>(world, source, false) {
        return Err(Reason::SpoofedSource);
    }
    Ok(from_peer)
}

/// The same where the destination is not this host's, and this host translates.
#[inline(always)]
fn past_this_host<F: Family, W: World<F>>(
    world: &W,
    source: F::Address,
    destination: F::Address,
) -> Result<Ends, Reason> {
    let (inside, outside) = (world.nat().inside, world.nat().outside);
    let by = world.interface();
    if by == outside && behind::<F, W>(world, source, inside) {
        return Err(Reason::SpoofedSource);
    }
    if by == outside && behind::<F, W>(world, destination, inside) {
        return Err(Reason::Unsolicited);
    }
    if by != inside || !F::unicast(destination) {
        return Err(Reason::NotOurs);
    }
    let from = world.address(&source).unwrap_or_default();
    if from.flags & Address::OWN != 0 {
        return Err(Reason::SpoofedSource);
    }
    if behind::<F, W>(world, source, inside) {
        return Ok(Ends(Ends::OUTWARD));
    }
    Ok(Ends(Ends::OUTWARD | Ends::STRANGER))
}

/// The address belongs to a guarded prefix behind this interface.
#[inline(always)]
pub fn behind<F: Family, W: World<F>>(world: &W, address: F::Address, interface: u32) -> bool {
    any::<F, W>(world, address, |behind| behind == interface)
}

/// An answer to a client whose address the backend sees (`source: preserve`) is addressed past this host: it may be a
/// flow's all the same.
#[inline(always)]
pub fn answers_a_client<F: Family, W: World<F>>(world: &W, reason: Reason) -> bool {
    matches!(reason, Reason::NotOurs) && world.settings().flags & Settings::PRESERVES != 0
}

/// The source belongs to a guarded prefix, which is behind the interface it came in by (`here`), or behind another.
#[inline(always)]
pub fn guarded<F: Family, W: World<F>>(world: &W, source: F::Address, here: bool) -> bool {
    any::<F, W>(world, source, |interface| {
        (interface == world.interface()) == here
    })
}

/// The address belongs to a guarded prefix behind an interface of this kind.
#[inline(always)]
fn any<F: Family, W: World<F>>(world: &W, address: F::Address, kind: impl Fn(u32) -> bool) -> bool {
    let mut index = 0;
    while index < limits::NETWORKS {
        let Some(network) = world.network(index) else {
            return false;
        };
        if network.interface == 0 {
            return false;
        }
        if kind(network.interface) && F::within(address, network.prefix, network.mask) {
            return true;
        }
        index += 1;
    }
    false
}

/// A new connection's route, and what of it listens.
///
/// # Errors
/// The reason why it is the local stack's: [`Reason::NotOurs`], [`Reason::FromPeer`], [`Reason::NotASyn`],
/// [`Reason::RouteOff`]; or [`Reason::Undeclared`].
#[inline(always)]
pub fn route<F: Family, W: World<F>>(
    world: &W,
    opening: &Opening<F::Address>,
) -> Result<Listening, Reason> {
    let Some(listening) = listener::<F, W>(world, opening) else {
        return Err(undeclared::<F, W>(world, opening));
    };
    let route = world.route(listening.route).ok_or(Reason::NotOurs)?;
    if opening.ends.0 & Ends::FROM_PEER != 0 && route.flags & Route::SELF_BACKEND != 0 {
        return Err(Reason::FromPeer);
    }
    if opening.key.protocol == TCP && !opens(opening.flags) {
        return Err(Reason::NotASyn);
    }
    if route.flags & Route::ENABLED == 0 {
        return Err(Reason::RouteOff);
    }
    Ok(listening)
}

/// What becomes of a packet that no route declares: the local stack's, unless it would open a port that nobody shall
/// reach by this interface.
#[inline(always)]
fn undeclared<F: Family, W: World<F>>(world: &W, opening: &Opening<F::Address>) -> Reason {
    if opening.ends.0 & Ends::LISTENS != 0
        && refuses::<F, W>(world, opening.interface, &opening.key, opening.flags)
    {
        Reason::Undeclared
    } else {
        Reason::NotOurs
    }
}

/// The packet would open a port that nobody shall reach by this interface, where `*` listens.
#[inline(always)]
fn refuses<F: Family, W: World<F>>(
    world: &W,
    interface: u32,
    key: &FlowKey<F::Address>,
    flags: u8,
) -> bool {
    let settings = world.settings();
    let port = u16::from_be_bytes(key.destination_port);
    settings.undeclared_interface != 0
        && settings.undeclared_interface == interface
        && port.wrapping_sub(settings.undeclared_first) < settings.undeclared_count
        && (key.protocol != TCP || opens(flags))
}

/// The most particular listener: the very address before `*`, as bind(2) has it.
#[inline(always)]
fn listener<F: Family, W: World<F>>(world: &W, opening: &Opening<F::Address>) -> Option<Listening> {
    let mut listener = Listener {
        address: opening.key.destination,
        port: opening.key.destination_port,
        protocol: opening.key.protocol,
        pad: 0,
    };
    if let Some(listening) = world.listener(&listener) {
        return Some(listening);
    }
    if opening.ends.0 & Ends::LISTENS == 0 {
        return None;
    }
    listener.address = F::Address::default();
    world.listener(&listener)
}
