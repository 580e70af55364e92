//! A flow is opened: from a packet that no flow takes to a flow in the embryonic tier.
//!
//! ```text
//!   a route's: admission -> schedule -> ports -> snat
//!   no route's: nat -> mapping -> pool -> snat
//! ```
//! It sees no packet, only what [`Opening`] says of one: in the kernel it is a function of its own, which the verifier
//! walks once, and not once for every way that leads here. Its frame and that of the walk would not fit on the stack
//! together, so a walk that needs a flow ends ([`crate::Verdict::Opens`]), the flow is opened, and the packet is walked
//! again, which finds it.

use crate::classify::Ends;
use crate::family::Family;
use crate::world::World;
use crate::{admission, nat, schedule, snat};
use gwpool_common::flow::FlowKey;
use gwpool_common::reason::Reason;
use gwpool_common::route::Listening;

/// What opens a flow, and the flow.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening<A> {
    /// The packet's five-tuple.
    pub key: FlowKey<A>,
    /// The interface it came in by.
    pub interface: u32,
    /// The backend that has failed this handshake and shall not get it again; or 0.
    pub failed_backend: u32,
    /// How many have.
    pub failed: u8,
    /// TCP's flag byte; of an answer to an ICMP query `ACK`.
    pub flags: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// What both ends of the packet are to this host.
    pub ends: Ends,
    /// Zero.
    pub pad: [u8; 4],
    /// The route, and what of it listens; 0: none, it is translated.
    pub listening: Listening,
}

/// Opens the flow, or says why not.
///
/// # Errors
/// The reason of the stage that refused.
#[inline(always)]
pub fn open<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
) -> Result<(), Reason> {
    let listening = &opening.listening;
    if listening.route == 0 {
        return nat::open::<F, W>(world, opening);
    }
    let route = world.route(listening.route).ok_or(Reason::NotOurs)?;
    admission::admit::<F, W>(world, &opening.key, listening.route, &route)?;
    let chosen = schedule::choose::<F, W>(world, opening, listening, &route)?;
    snat::begin::<F, W>(world, opening, &chosen)?;
    world.count_connection(chosen.id);
    Ok(())
}
