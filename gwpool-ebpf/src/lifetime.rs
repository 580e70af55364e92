//! How long a flow lives: the marks that TCP leaves in it, the timers, and when nothing of it is left to keep.
//!
//! The programs end flows lazily, when a packet finds one that is over; the daemon's sweep ends the others by the same
//! functions. Time is in ticks (`Settings::tick_shift`), of which 16 bits are kept.

use crate::family::Family;
use crate::pair::mate;
use crate::parse::{ICMP, TCP, UDP, tcp};
use crate::world::{Step, World};
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::limits;
use gwpool_common::nat::Nat;

/// The flow marks that the packet's TCP flags leave.
#[inline(always)]
pub const fn closing(flags: u8) -> u8 {
    let mut marks = 0;
    if flags & tcp::FIN != 0 {
        marks |= Flow::<()>::FIN;
    }
    if flags & tcp::RST != 0 {
        marks |= Flow::<()>::RST;
    }
    marks
}

/// What is left of an established flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lives.
    Live,
    /// Both sides have closed it, and its time is over or its client opens it anew.
    Closed,
    /// Both halves were idle beyond their time, though nobody swept them.
    Idle,
    /// This half alone: who removed the other half has counted it.
    Half,
}

/// Looks at a flow that a packet has found. `reopens`: the packet opens the same five-tuple.
#[inline(always)]
pub fn state<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    flow: &Flow<F::Address>,
    reopens: bool,
) -> State {
    let now = world.now();
    let per_1024_s = world.settings().ticks_per_1024_s;
    let idle = age(flow.seen, now);
    // A busy flow asks no further.
    if !reopens && idle < ticks(world.settings().shortest_s, per_1024_s) {
        return State::Live;
    }
    let Some(at) = world.established(&mate(key.protocol, &flow.rewrite)) else {
        return State::Half;
    };
    let other = world.flow(at);
    let closed = closed(flow.flags, other.flags);
    if reopens && closed {
        return State::Closed;
    }
    let limit_s = established_s::<F, W>(world, key.protocol, flow, closed);
    let limit = lapse(limit_s, per_1024_s);
    match (idle < limit || age(other.seen, now) < limit, closed) {
        (true, _) => State::Live,
        (false, true) => State::Closed,
        (false, false) => State::Idle,
    }
}

/// The flow is translated, by a host that translates.
#[inline(always)]
pub fn is_nat<F: Family, W: World<F>>(world: &W, flow: &Flow<F::Address>) -> bool {
    world.nat().flags & Nat::<F::Address>::ON != 0 && flow.flags & Flow::<F::Address>::NAT != 0
}

/// How long this established flow may be idle.
#[inline(always)]
fn established_s<F: Family, W: World<F>>(
    world: &W,
    protocol: u8,
    flow: &Flow<F::Address>,
    closed: bool,
) -> u16 {
    let closing_s = world.settings().closing_s;
    if is_nat::<F, W>(world, flow) {
        let nat = world.nat();
        return limit_s(
            protocol,
            closed,
            nat_idle_s(nat, protocol),
            nat_closing_s(nat, closing_s),
        );
    }
    let idle_s = world
        .backend(flow.backend_id())
        .map_or(0, |backend| backend.idle_s);
    limit_s(protocol, closed, idle_s, closing_s)
}

/// How long an established flow of a translated session may be idle.
#[inline(always)]
pub const fn nat_idle_s<A>(nat: &Nat<A>, protocol: u8) -> u16 {
    match protocol {
        TCP => nat.tcp_established_s,
        UDP => nat.udp_s,
        ICMP => nat.icmp_s,
        _ => nat.other_s,
    }
}

/// The same once it is closed, and `closing_s` is what the settings say.
#[inline(always)]
pub const fn nat_closing_s<A>(nat: &Nat<A>, closing_s: u16) -> u16 {
    if closing_s < limits::TCP_CLOSING_S {
        closing_s
    } else {
        nat.tcp_transitory_s
    }
}

/// How long a translated session may be idle that nothing has proved.
#[inline(always)]
pub const fn nat_transitory_s<A>(nat: &Nat<A>, protocol: u8) -> u16 {
    match protocol {
        TCP => nat.tcp_transitory_s,
        UDP => nat.udp_unreplied_s,
        ICMP => nat.icmp_s,
        _ => nat.other_s,
    }
}

/// Removes a flow that is over.
#[inline(always)]
pub fn remove<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    flow: &Flow<F::Address>,
    state: State,
) {
    world.retire(&mate(key.protocol, &flow.rewrite));
    world.retire(key);
    if state != State::Half {
        world.move_share(key.protocol, &client(key, flow), Step::Down);
    }
    if state == State::Idle {
        world.move_load(flow.backend_id(), Step::Down);
    }
}

/// Takes the flow off its backend's load if these marks, new on this half, close it.
#[inline(always)]
pub fn close<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    flow: &Flow<F::Address>,
    marks: u8,
) {
    let Some(at) = world.established(&mate(key.protocol, &flow.rewrite)) else {
        return;
    };
    let mut other = world.flow(at);
    if closed(flow.flags | marks, other.flags) && !closed(flow.flags, other.flags) {
        world.move_load(flow.backend_id(), Step::Down);
    }
    if marks & Flow::<F::Address>::RST != 0 {
        other.flags |= Flow::<F::Address>::RST;
        world.mark(at, &other);
    }
}

/// Data after a reset: it was not the end, whoever has sent it (RFC 7857 2.2). Both halves carry the mark.
#[inline(always)]
pub fn revive<F: Family, W: World<F>>(
    world: &mut W,
    key: &FlowKey<F::Address>,
    flow: &mut Flow<F::Address>,
) {
    flow.flags &= !Flow::<F::Address>::RST;
    let Some(at) = world.established(&mate(key.protocol, &flow.rewrite)) else {
        return;
    };
    let mut other = world.flow(at);
    other.flags &= !Flow::<F::Address>::RST;
    world.mark(at, &other);
    if !closed(flow.flags, other.flags) {
        world.move_load(flow.backend_id(), Step::Up);
    }
}

/// Whose flow it is.
#[inline(always)]
fn client<A: Copy>(key: &FlowKey<A>, flow: &Flow<A>) -> A {
    if flow.flags & Flow::<A>::BACKEND_SIDE != 0 {
        flow.rewrite.destination
    } else {
        key.source
    }
}

/// An embryonic flow is still waited for.
#[inline(always)]
pub fn waits<F: Family, W: World<F>>(world: &W, protocol: u8, flow: &Flow<F::Address>) -> bool {
    let limit_s = if is_nat::<F, W>(world, flow) {
        nat_transitory_s(world.nat(), protocol)
    } else if protocol == TCP {
        limits::HANDSHAKE_S
    } else {
        limits::UDP_UNREPLIED_S
    };
    age(flow.seen, world.now()) < lapse(limit_s, world.settings().ticks_per_1024_s)
}

/// A mark may be this many ticks ahead of a clock that was read before it, on another CPU or in the daemon: such a
/// flow is fresh, not ancient.
pub const AHEAD_TICKS: u16 = 64;

/// Ticks since the mark.
#[inline(always)]
pub const fn age(seen: u16, now: u16) -> u16 {
    let age = now.wrapping_sub(seen);
    if age > u16::MAX - AHEAD_TICKS { 0 } else { age }
}

/// Both sides have sent FIN, or one of them RST.
#[inline(always)]
pub const fn closed(one: u8, other: u8) -> bool {
    one & other & Flow::<()>::FIN != 0 || (one | other) & Flow::<()>::RST != 0
}

/// How long an established flow may be idle. `idle_s`: its backend's, 0 for what its protocol has; `closing_s`: what
/// the settings give a closed TCP flow.
#[inline(always)]
pub const fn limit_s(protocol: u8, closed: bool, idle_s: u16, closing_s: u16) -> u16 {
    match (protocol == TCP, closed, idle_s) {
        (true, true, _) => closing_s,
        (true, false, 0) => limits::TCP_ESTABLISHED_S,
        (false, _, 0) => limits::UDP_S,
        (_, _, own) => own,
    }
}

/// Seconds as ticks, rounded up.
#[inline(always)]
pub const fn ticks(seconds: u16, ticks_per_1024_s: u32) -> u16 {
    ((seconds as u32 * ticks_per_1024_s + 1023) >> 10) as u16
}

/// Ticks after which so many seconds have passed in any case: a mark may be of the last moment of its tick.
#[inline(always)]
pub const fn lapse(seconds: u16, ticks_per_1024_s: u32) -> u16 {
    ticks(seconds, ticks_per_1024_s) + 1
}

#[cfg(test)]
mod tests;
