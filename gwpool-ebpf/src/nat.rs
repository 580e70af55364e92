//! Of the opening, for translation: who may speak with whom, and the flow that carries it.
//!
//! ```text
//!   inside  -> anywhere by the outside interface   outward: mapping -> flow
//!   inside  -> a mapping of another inside host    hairpin: mapping -> flow, both ends translated (RFC 4787 REQ-9)
//!   outside -> a mapping, if its filtering lets in  inward: flow
//!   this host -> outside, from the NAT address     own: mapping -> flow, where an inside host has the port already
//! ```
//! Whatever no flow is opened for is this host's own, or ends here: nothing leaves untranslated (see [`crate::guard`]).

use crate::admission;
use crate::classify;
use crate::family::Family;
use crate::mapping;
use crate::opening::Opening;
use crate::pair;
use crate::parse::{ICMP, TCP, UDP, opens, tcp};
use crate::pool;
use crate::ports;
use crate::snat;
use crate::translation::Socket;
use crate::world::{Lookup, Way, World};
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::nat::Nat;
use gwpool_common::net::Port;
use gwpool_common::reason::Reason;

/// Opens the flow of a packet that no route takes.
///
/// # Errors
/// [`Reason::NotOurs`] where it is this host's own, or the kernel's; else why it ends here.
#[inline(always)]
pub fn open<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
) -> Result<(), Reason> {
    let remote = if opening.ends.is_outward() {
        outward::<F, W>(world, opening)?
    } else if opening.ends.is_own() {
        own::<F, W>(world, opening)?
    } else {
        match inward::<F, W>(world, opening)? {
            Some(remote) => remote,
            None => return Ok(()),
        }
    };
    begin::<F, W>(world, opening, remote)
}

/// A packet of an inside host to somebody who is not this one, and to whom.
///
/// # Errors
/// [`Reason::NotOurs`] where it does not leave by the outside interface; else why it ends here.
#[inline(always)]
fn outward<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
) -> Result<(F::Address, Port), Reason> {
    if !leaves::<F, W>(world, opening) {
        return Err(Reason::NotOurs);
    }
    if opening.ends.is_stranger() {
        return Err(Reason::SpoofedSource);
    }
    let answers = opening.key.protocol == ICMP && opening.flags & tcp::ACK != 0;
    if answers {
        return Err(Reason::Unsolicited);
    }
    may_leave::<F, W>(world, &opening.key)?;
    Ok(remote(opening))
}

/// The kernel's routing sends it out by the outside interface.
#[inline(always)]
fn leaves<F: Family, W: World<F>>(world: &mut W, opening: &Opening<F::Address>) -> bool {
    let way = world.lookup(&Lookup {
        source: opening.key.source,
        destination: opening.key.destination,
        source_port: opening.key.source_port,
        destination_port: opening.key.destination_port,
        protocol: opening.key.protocol,
        tos: opening.tos,
        // Whatever it is long: too large is said by the packet's walk. (With none the kernel asks the packet.)
        length: F::HEADER as u16,
    });
    let by = match way {
        Ok(Way::Known(hop)) => hop.interface,
        Ok(Way::Unresolved { interface, .. }) => interface,
        // The kernel says so to its sender.
        Err(_) => return false,
    };
    by == world.nat().outside
}

/// This host translates now, and for this inside host.
#[inline(always)]
fn may_leave<F: Family, W: World<F>>(world: &W, key: &FlowKey<F::Address>) -> Result<(), Reason> {
    let flags = world.nat().flags;
    if flags & Nat::<F::Address>::ACTIVE == 0 {
        return Err(Reason::NatStandby);
    }
    let (id, denies_rest) = (
        Nat::<F::Address>::ACCESS_ID,
        flags & Nat::<F::Address>::DENIES_REST != 0,
    );
    if flags & Nat::<F::Address>::GUARDED != 0
        && admission::is_denied::<F, W>(world, id, &key.source, denies_rest)
    {
        return Err(Reason::NatDenied);
    }
    Ok(())
}

/// A packet to one of this host's own addresses that no route takes.
///
/// # Errors
/// [`Reason::NotOurs`] where it is this host's own, [`Reason::Unsolicited`] where it is nobody's.
#[inline(always)]
fn inward<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
) -> Result<Option<(F::Address, Port)>, Reason> {
    let (on, inside, outside) = {
        let nat = world.nat();
        (
            nat.flags & Nat::<F::Address>::ON != 0,
            nat.inside,
            nat.outside,
        )
    };
    let key = &opening.key;
    if !on || pool::place(key.protocol).is_none() {
        return Err(Reason::NotOurs);
    }
    if mapping::address_place::<F>(world.nat(), key.destination).is_none() {
        let hidden = opening.interface == outside
            && classify::behind::<F, W>(world, key.destination, inside);
        return Err(if hidden {
            Reason::Unsolicited
        } else {
            Reason::NotOurs
        });
    }
    let end = mapping::outside(key);
    let holder = match world.mapping(&end) {
        Some(mapping) if mapping.address != key.destination => {
            Some((mapping.address, mapping.port))
        }
        Some(_) => return Err(Reason::NotOurs),
        None => None,
    };
    if opening.interface == inside {
        return match holder {
            Some(to) if key.protocol != ICMP => hairpin::<F, W>(world, opening).map(|()| Some(to)),
            _ => Err(Reason::NotOurs),
        };
    }
    if opening.interface != outside {
        return Err(Reason::NotOurs);
    }
    match holder {
        Some(to) if begins(opening) && mapping::lets_in::<F, W>(world, &end, key.source) => {
            let_in::<F, W>(world, key, to, 0)
        }
        holder => local::<F, W>(world, key, holder.is_some()),
    }
    .map(|()| None)
}

/// Stores the flow of a packet with this key from outside to this socket, which has said nothing to its sender yet.
#[inline(always)]
fn let_in<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    to: (F::Address, Port),
    flags: u8,
) -> Result<(), Reason> {
    let answer = FlowKey {
        source: to.0,
        destination: key.source,
        source_port: to.1,
        destination_port: key.source_port,
        ..*key
    };
    let (seen_as, remote) = (
        (key.destination, key.destination_port),
        (key.source, key.source_port),
    );
    let flow = Flow {
        rewrite: pair::rewrite::<F>(&answer, seen_as, remote),
        flags: flags | Flow::<F::Address>::NAT | Flow::<F::Address>::PICKED_UP,
        seen: world.now(),
        ..Flow::default()
    };
    snat::store::<F, W>(world, &answer, &flow, 0)
}

/// May be the first packet of a session.
#[inline(always)]
fn begins<A>(opening: &Opening<A>) -> bool {
    match opening.key.protocol {
        TCP => opens(opening.flags),
        UDP => true,
        _ => false,
    }
}

/// For a socket of this host, or for nobody. Where an inside host has the port, the host's flow is stored: so nothing
/// else can be opened in its place, and its answers keep their port.
#[inline(always)]
fn local<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    shared: bool,
) -> Result<(), Reason> {
    if key.protocol == ICMP {
        return Err(Reason::NotOurs);
    }
    if world.socket(key) == Socket::None {
        return Err(Reason::Unsolicited);
    }
    if !shared {
        return Err(Reason::NotOurs);
    }
    let own = (key.destination, key.destination_port);
    let_in::<F, W>(world, key, own, Flow::<F::Address>::LOCAL)
}

/// From one inside host to the mapping of another: each sees the other as the outside does.
#[inline(always)]
fn hairpin<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
) -> Result<(), Reason> {
    if !classify::behind::<F, W>(world, opening.key.source, opening.interface) {
        return Err(Reason::SpoofedSource);
    }
    may_leave::<F, W>(world, &opening.key)
}

/// A packet that this host sends itself, with the NAT address or its own inside one.
///
/// # Errors
/// [`Reason::NotOurs`] where it leaves as it is; else why it does not leave.
#[inline(always)]
fn own<F: Family, W: World<F>>(
    world: &W,
    opening: &Opening<F::Address>,
) -> Result<(F::Address, Port), Reason> {
    if mapping::address_place::<F>(world.nat(), opening.key.source).is_none() {
        may_leave::<F, W>(world, &opening.key)?;
    }
    Ok(remote(opening))
}

/// Whom the packet is sent to.
#[inline(always)]
fn remote<A: Copy>(opening: &Opening<A>) -> (A, Port) {
    (opening.key.destination, opening.key.destination_port)
}

/// Stores the flow from this socket, seen as its mapping says, to `remote`.
#[inline(always)]
fn begin<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
    remote: (F::Address, Port),
) -> Result<(), Reason> {
    let key = &opening.key;
    let own = opening.ends.is_own();
    let mut source = (key.source, key.source_port);
    seen_as::<F, W>(world, key, own, &mut source)?;
    let mut flags = Flow::<F::Address>::NAT;
    if own {
        if source == (key.source, key.source_port) {
            return Err(Reason::NotOurs);
        }
        flags |= Flow::<F::Address>::LOCAL;
    }
    if key.protocol == TCP && !opens(opening.flags) {
        flags |= Flow::<F::Address>::PICKED_UP;
    }
    let flow = Flow {
        rewrite: pair::rewrite::<F>(key, source, remote),
        flags,
        seen: world.now(),
        ..Flow::default()
    };
    let back = pair::mate(key.protocol, &flow.rewrite);
    let taken = !ports::vacant::<F, W>(world, &back) && !snat::stands::<F, W>(world, &back, key);
    if taken || !own && world.socket(&back) == Socket::Connected {
        // Without ports one inside host at a time speaks this protocol with that address.
        return Err(Reason::NatExhausted);
    }
    snat::store::<F, W>(world, key, &flow, 0)?;
    mapping::permit::<F, W>(world, &mapping::outside(&back), remote.0);
    world.count_connection(0);
    Ok(())
}

/// What the socket is seen as, in place of what it is.
#[inline(always)]
fn seen_as<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    own: bool,
    source: &mut (F::Address, Port),
) -> Result<(), Reason> {
    if pool::place(key.protocol).is_some() {
        return mapping::of::<F, W>(world, key, own, source);
    }
    let (_, address) = mapping::pair::<F>(world.nat(), key.source).ok_or(Reason::NatExhausted)?;
    source.0 = address;
    Ok(())
}
