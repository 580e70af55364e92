//! Fourth stage: whose turn it is. One shared cursor a route, moved once for each new flow, over the list of live
//! slots: exact round robin, on however many CPUs.

use crate::family::Family;
use crate::world::World;
use gwpool_common::reason::Reason;
use gwpool_common::route::{Backend, Route};

/// The backend for a new flow, and its id.
///
/// # Errors
/// [`Reason::NoLiveBackend`].
#[inline(always)]
pub fn choose<F: Family, W: World<F>>(
    world: &mut W,
    id: u32,
    route: &Route,
) -> Result<(u32, Backend<F::Address>), Reason> {
    if route.slot_count == 0 {
        return Err(Reason::NoLiveBackend);
    }
    let turn = world.turn(id);
    // `checked_rem`: a division that could panic is refused by the verifier ("last insn is not an exit or jmp").
    let step = turn
        .checked_rem(route.slot_count as u64)
        .ok_or(Reason::NoLiveBackend)? as u32;
    let chosen = world
        .slot(route.slot_first.wrapping_add(step))
        .ok_or(Reason::NoLiveBackend)?;
    let backend = world.backend(chosen).ok_or(Reason::NoLiveBackend)?;
    if backend.route != id {
        // The run was replaced under this packet; the sender's retransmission finds the new one.
        return Err(Reason::NoLiveBackend);
    }
    Ok((chosen, backend))
}
