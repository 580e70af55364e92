//! Sixth stage: where the rewritten packet leaves. Asked before the packet is touched, because XDP must hand on a
//! packet whose neighbour is unknown just as it came.
//!
//! A flow carries the index of its next hop. The kernel's routing is asked when the flow has none, when the epoch
//! has moved (an address, route, link or MAC changed), and once a tick of the flow's life: so a router whose MAC
//! moves while no daemon runs costs a second.

use crate::family::Family;
use crate::flow::Found;
use crate::parse::Parsed;
use crate::world::{Lookup, Way, World};
use gwpool_common::limits;
use gwpool_common::net::NextHop;
use gwpool_common::reason::Reason;

/// The way of this packet.
///
/// # Errors
/// What the kernel's routing says against it, or [`Reason::TooBig`].
#[inline(always)]
pub fn way<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &mut Found<F, W>,
) -> Result<Way<F::Address>, Reason> {
    let epoch = world.settings().epoch;
    let known = if found.fresh() {
        None
    } else {
        world.next_hop(found.flow.next_hop)
    };
    if let Some(hop) = known
        && found.flow.next_hop != 0
        && hop.epoch == epoch
    {
        if parsed.largest > hop.mtu as u32 {
            world.limit(hop.mtu);
            return Err(Reason::TooBig);
        }
        return Ok(Way::Known(hop));
    }
    ask(world, parsed, found, epoch)
}

/// Asks the kernel's routing and remembers the answer in the flow.
#[inline(always)]
fn ask<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &mut Found<F, W>,
    epoch: u32,
) -> Result<Way<F::Address>, Reason> {
    let rewrite = &found.flow.rewrite;
    let way = world.lookup(&Lookup {
        // Rules for an inside host hold for what it sends (the kernel routes before it translates).
        source: if found.is_nat() {
            parsed.key.source
        } else {
            rewrite.source
        },
        destination: rewrite.destination,
        source_port: rewrite.source_port,
        destination_port: rewrite.destination_port,
        protocol: parsed.key.protocol,
        tos: parsed.tos,
        length: parsed.largest as u16,
    })?;
    found.flow.next_hop = match way {
        Way::Known(mut hop) => {
            hop.epoch = epoch;
            remember::<F, W>(world, &hop)
        }
        // The flow's next packets ask again, until the neighbour has answered.
        Way::Unresolved { .. } => 0,
    };
    Ok(way)
}

/// The index of `hop` in the table, entered if it is not there; 0 if its places are all taken by others.
#[inline(always)]
fn remember<F: Family, W: World<F>>(world: &mut W, hop: &NextHop) -> u16 {
    let [.., a, b, c, d] = hop.destination;
    let hash = (u32::from_be_bytes([a, b, c, d]) ^ hop.interface).wrapping_mul(0x9e37_79b1) >> 7;
    let mut probe = 0;
    while probe < limits::NEXT_HOP_PROBES {
        // Index 0 is "not known".
        let index = (1 + (hash + probe) % (limits::NEXT_HOPS - 1)) as u16;
        probe += 1;
        let Some(entry) = world.next_hop(index) else {
            continue;
        };
        if entry.state == NextHop::FREE && world.claim_next_hop(index, hop) {
            return index;
        }
        let same = entry.state == NextHop::VALID
            && entry.interface == hop.interface
            && entry.destination == hop.destination
            && entry.source == hop.source
            && entry.mtu == hop.mtu
            && entry.flags == hop.flags;
        if same {
            if entry.epoch != hop.epoch {
                world.confirm_next_hop(index, hop.epoch);
            }
            return index;
        }
    }
    0
}
