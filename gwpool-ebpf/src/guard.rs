//! Beside the walk: what leaves by the outside interface of a host that translates, whoever sent it.
//!
//! Nothing leaves with an inside host's address: what the kernel has cut, and what this host itself sends with its inside
//! address, is translated here; the rest ends. And what this host sends with the NAT address is entered in the mappings,
//! so that its ports are nobody else's; where an inside host has the port already, this host's is changed, there and back.

use crate::Verdict;
use crate::classify::{self, Ends};
use crate::family::{Family, Network};
use crate::flow::Found;
use crate::mapping;
use crate::parse::{Parsed, TCP, opens};
use crate::pool;
use crate::world::World;
use gwpool_common::nat::Nat;
use gwpool_common::net::Address;
use gwpool_common::reason::{Fate, Reason};

/// This host translates, and this is the interface by which inside hosts leave.
#[inline(always)]
pub fn stands<F: Family, W: World<F>>(world: &W) -> bool {
    let nat = world.nat();
    nat.flags & Nat::<F::Address>::ON != 0 && nat.outside == world.interface()
}

/// The packet would show an inside host's address.
#[inline(always)]
pub fn shows<F: Family, W: World<F>>(world: &W, network: &Network<F::Address>) -> bool {
    classify::behind::<F, W>(world, network.source, world.nat().inside)
}

/// What ends the walk of such a packet: it does not leave.
#[inline(always)]
pub fn ends(reason: Reason) -> Reason {
    match reason.fate() {
        Fate::Dropped => reason,
        Fate::Carried | Fate::Passed => Reason::LeakPrevented,
    }
}

/// A packet that no flow takes: of this host's own sockets, or nobody's. A flow is opened for it if it cannot leave as
/// it is.
///
/// # Errors
/// [`Reason::NotOurs`]: it leaves as it is, if it may.
#[inline(always)]
pub fn first<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &Found<F, W>,
    shown: bool,
) -> Result<Verdict<F::Address>, Reason> {
    let from = world.address(&parsed.key.source).unwrap_or_default();
    if from.flags & Address::OWN == 0 || world.sent_on() {
        return Err(Reason::NotOurs);
    }
    if !shown && !registers::<F, W>(world, parsed) {
        return Err(Reason::NotOurs);
    }
    let opening = found.opening(parsed, world.interface(), Ends::own());
    world.open(&opening)?;
    Ok(Verdict::Opens)
}

/// A socket with the NAT address begins to send: it has to be entered.
#[inline(always)]
fn registers<F: Family, W: World<F>>(world: &mut W, parsed: &Parsed<F::Address>) -> bool {
    let key = &parsed.key;
    let own = mapping::address_place::<F>(world.nat(), key.source).is_some();
    if !own || pool::place(key.protocol).is_none() {
        return false;
    }
    let inside = mapping::inside(key);
    match world.mapping(&inside) {
        Some(known) if known.address == key.source && known.port == key.source_port => {
            let now = world.now();
            if known.seen != now {
                world.touch(&inside, now);
            }
            false
        }
        // A connection that is older than the inside host's mapping keeps its port: nobody else has its other end.
        _ => key.protocol != TCP || opens(parsed.flags),
    }
}
