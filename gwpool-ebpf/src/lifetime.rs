//! How long a flow lives: the marks that TCP leaves in it, the timers, and when nothing of it is left to keep.
//!
//! The programs end flows lazily, when a packet finds one that is over; the daemon's sweep ends the others by the same
//! functions. Time is in ticks (`Settings::tick_shift`), of which 16 bits are kept.

use crate::family::Family;
use crate::pair::mate;
use crate::parse::{Parsed, TCP, tcp};
use crate::world::World;
use gwpool_common::flow::Flow;
use gwpool_common::limits;

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

/// Nothing of the flow is left to keep: both halves idle beyond their time, though nobody swept them; or both sides
/// have closed and the client opens the same five-tuple anew.
#[inline(always)]
pub fn over<F: Family, W: World<F>>(
    world: &mut W,
    parsed: &Parsed<F::Address>,
    flow: &Flow<F::Address>,
    now: u16,
) -> bool {
    let opens = parsed.opens() && flow.flags & Flow::<F::Address>::BACKEND_SIDE == 0;
    let idle = age(flow.seen, now);
    let ticks_per_1024_s = world.settings().ticks_per_1024_s;
    // The shortest of the timers: a busy flow asks no further.
    if !opens && idle < ticks(limits::TCP_CLOSING_S, ticks_per_1024_s) {
        return false;
    }
    let other = match world.established(&mate(parsed.key.protocol, &flow.rewrite)) {
        Some(at) => world.flow(at),
        None => return true,
    };
    let closed = closed(flow.flags, other.flags);
    if opens && closed {
        return true;
    }
    let limit = ticks(timeout_s(parsed.key.protocol, closed), ticks_per_1024_s);
    idle >= limit && age(other.seen, now) >= limit
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

/// How long an established flow may be idle.
#[inline(always)]
pub const fn timeout_s(protocol: u8, closed: bool) -> u16 {
    match (protocol == TCP, closed) {
        (true, false) => limits::TCP_ESTABLISHED_S,
        (true, true) => limits::TCP_CLOSING_S,
        (false, _) => limits::UDP_S,
    }
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

#[cfg(test)]
mod tests;
