//! When a flow is over; pure.
//!
//! Marks are 16-bit ticks that wrap after 18 hours, so ages are differences. A pair is one flow: the later of its
//! two marks counts, and what either half has seen of FIN and RST.
#![forbid(unsafe_code)]

use gwpool_common::flow::Flow;
use gwpool_common::limits::{self, Settings};
use gwpool_common::net::V4;

const TCP: u8 = 6;

/// Above 90 % fill, closing flows make room after this many seconds.
const CLOSING_CROWDED_S: u16 = 10;

/// A mark may be this many ticks ahead of a clock that was read before it: such a flow is fresh, not ancient.
const AHEAD_TICKS: u16 = 64;

/// Idle times in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    established: u16,
    closing: u16,
    udp: u16,
}

impl Timers {
    /// Seconds to ticks, rounded up. `crowded`: the table is nearly full.
    pub fn of(settings: &Settings, crowded: bool) -> Self {
        let ticks = |seconds: u16| {
            let ticks = (u32::from(seconds) * settings.ticks_per_1024_s).div_ceil(1024);
            u16::try_from(ticks).unwrap_or(u16::MAX)
        };
        Timers {
            established: ticks(limits::TCP_ESTABLISHED_S),
            closing: ticks(if crowded {
                CLOSING_CROWDED_S
            } else {
                limits::TCP_CLOSING_S
            }),
            udp: ticks(limits::UDP_S),
        }
    }

    /// Whether this half alone makes the flow worth a look at the other half.
    pub fn suspects(&self, protocol: u8, half: &Flow<V4>, now: u16) -> bool {
        let ending = half.flags & (Flow::<V4>::FIN | Flow::<V4>::RST) != 0;
        let idle = match (protocol, ending) {
            (TCP, true) => self.closing,
            (TCP, false) => self.established,
            _ => self.udp,
        };
        age(half.seen, now) >= idle
    }

    /// Whether the flow is over. A half without its other half carries nothing any more and counts as closing.
    pub fn over(&self, protocol: u8, half: &Flow<V4>, mate: Option<&Flow<V4>>, now: u16) -> bool {
        let idle = match mate {
            Some(mate) => age(half.seen, now).min(age(mate.seen, now)),
            None => age(half.seen, now),
        };
        let closing = mate.is_none_or(|mate| {
            (half.flags | mate.flags) & Flow::<V4>::RST != 0
                || half.flags & mate.flags & Flow::<V4>::FIN != 0
        });
        idle >= match (protocol, closing) {
            (TCP, true) => self.closing,
            (TCP, false) => self.established,
            _ => self.udp,
        }
    }
}

/// Ticks since the mark.
fn age(seen: u16, now: u16) -> u16 {
    let age = now.wrapping_sub(seen);
    if age > u16::MAX - AHEAD_TICKS { 0 } else { age }
}

#[cfg(test)]
mod tests;
