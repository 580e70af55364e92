//! Beside the walk: a handshake that its backend failed goes on to another (HAProxy's redispatch).
//!
//! ```text
//!   SYN -> backend A: RST        swallowed, A's half ends; the client's next SYN finds the mark and goes to B
//!                     silence    the client's SYN comes again after `connect_s` and goes to B
//! ```
//! The client never learns of A. When as many backends have failed as the route allows, the last one's word is passed
//! on. A flow whose backend has answered the handshake stays where it is.

use crate::family::Family;
use crate::flow::Found;
use crate::lifetime;
use crate::pair::mate;
use crate::parse::{Parsed, TCP};
use crate::world::{Side, World};
use gwpool_common::flow::{Embryo, Flow};
use gwpool_common::route::Route;

/// The backend has refused: true if the client need not know.
#[inline(always)]
pub fn refused<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    found: &Found<F, W>,
) -> bool {
    let answered = found.flow.flags & Flow::<F::Address>::REPLIED != 0;
    if parsed.key.protocol != TCP || found.side() != Side::Backend || answered {
        return false;
    }
    let client = mate(parsed.key.protocol, &found.flow.rewrite);
    let Some(at) = world.embryonic(&client) else {
        return false;
    };
    let mut embryo = world.embryo(at);
    if !allowed::<F, W>(world, &embryo) {
        return false;
    }
    embryo.flow.flags |= Flow::<F::Address>::REFUSED;
    world.mark_embryo(at, &embryo);
    world.forget(&parsed.key);
    true
}

/// The client's SYN has come again, and its backend has refused or was silent for too long.
#[inline(always)]
pub fn due<F: Family, W: World<F>>(world: &W, embryo: &Embryo<F::Address>) -> bool {
    if embryo.flow.flags & Flow::<F::Address>::REFUSED != 0 {
        return true;
    }
    let Some(route) = route::<F, W>(world, embryo) else {
        return false;
    };
    let waited = lifetime::age(embryo.since, world.now());
    waited >= lifetime::ticks(route.connect_s, world.settings().ticks_per_1024_s)
        && allows(&route, embryo.failed)
}

/// One more backend may fail this handshake.
#[inline(always)]
fn allowed<F: Family, W: World<F>>(world: &W, embryo: &Embryo<F::Address>) -> bool {
    route::<F, W>(world, embryo).is_some_and(|route| allows(&route, embryo.failed))
}

#[inline(always)]
fn allows(route: &Route, failed: u8) -> bool {
    failed < route.redispatches && route.slot_count > 1
}

#[inline(always)]
fn route<F: Family, W: World<F>>(world: &W, embryo: &Embryo<F::Address>) -> Option<Route> {
    let backend = world.backend(embryo.flow.backend_id())?;
    world.route(backend.route)
}
