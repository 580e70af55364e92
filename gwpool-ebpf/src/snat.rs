//! Fifth stage: a new flow's source, and the flow itself into the table, backend side first.
//!
//! The insert of the backend side entry, which fails if the key is taken, is the only authority on whether a port is
//! free; which one to try is [`crate::ports`]'s.

use crate::family::Family;
use crate::opening::Opening;
use crate::pair::{self, mate};
use crate::ports::Search;
use crate::schedule::Chosen;
use crate::world::{Refused, World};
use gwpool_common::flow::{Embryo, Flow, FlowKey, Rewrite};
use gwpool_common::reason::Reason;
use gwpool_common::route::Backend;

/// Stores a new flow in the embryonic tier.
///
/// # Errors
/// [`Reason::NoFreePort`], [`Reason::TableFull`], [`Reason::Overtaken`].
#[inline(always)]
pub fn begin<F: Family, W: World<F>>(
    world: &mut W,
    opening: &Opening<F::Address>,
    chosen: &Chosen<F::Address>,
) -> Result<(), Reason> {
    let [low, middle, high, _] = chosen.id.to_le_bytes();
    let backend = &chosen.backend;
    let is_self = backend.flags & Backend::<F::Address>::SELF != 0;
    let keeps_client = backend.flags & Backend::<F::Address>::PRESERVE != 0;
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
    let (source, destination) = match (is_self, keeps_client) {
        (true, _) => (opening.key.source, opening.key.destination),
        (false, true) => (opening.key.source, backend.address),
        (false, false) => (backend.source, backend.address),
    };
    let mut search = Search::<F>::new(
        world.settings(),
        &opening.key,
        source,
        (destination, chosen.port),
        is_self || keeps_client,
    );
    let port = search.run(world, chosen.id)?;
    flow.rewrite = pair::rewrite::<F>(&opening.key, (source, port), (destination, chosen.port));
    store::<F, W>(world, &opening.key, &flow, opening.failed)
}

/// Both halves into the embryonic tier, backend side first; what this CPU has inserted it takes back if it must. A half
/// that stands there is as good as one that is put in.
#[inline(always)]
pub fn store<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    flow: &Flow<F::Address>,
    failed: u8,
) -> Result<(), Reason> {
    let (backend_key, backend_flow) = pair::backend_side(key, flow);
    let backend = Embryo {
        flow: backend_flow,
        since: flow.seen,
        ..Embryo::default()
    };
    match world.conceive(&backend_key, &backend) {
        Err(Refused::Taken) if stands::<F, W>(world, &backend_key, key) => {}
        stored => stored.map_err(refusal)?,
    }
    let client = Embryo {
        flow: *flow,
        since: flow.seen,
        failed,
        ..Embryo::default()
    };
    match world.conceive(key, &client) {
        Err(Refused::Taken) if stands::<F, W>(world, key, &backend_key) => Ok(()),
        stored => stored.map_err(|refused| {
            world.forget(&backend_key);
            refusal(refused)
        }),
    }
}

/// The half with this key is in the embryonic tier already, and names the one with the other: the tier gives up halves, each
/// for itself, so that one may be gone; or another CPU is storing the same flow.
#[inline(always)]
pub fn stands<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    other: &FlowKey<F::Address>,
) -> bool {
    let Some(at) = world.embryonic(key) else {
        return false;
    };
    mate(key.protocol, &world.embryo(at).flow.rewrite) == *other
}

/// Why there is no entry: taken, though it was free a moment ago, or kept busy: another CPU was quicker.
#[inline(always)]
pub fn refusal(refused: Refused) -> Reason {
    match refused {
        Refused::Taken | Refused::Busy => Reason::Overtaken,
        Refused::Full => Reason::TableFull,
    }
}
