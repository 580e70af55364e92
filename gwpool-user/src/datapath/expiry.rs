//! When the sweep ends a flow; pure. The timers and what counts as closed are the pipeline's own (`lifetime`).
//!
//! Marks are 16-bit ticks that wrap after 18 hours, so ages are differences. A pair is one flow: the later of its
//! two marks counts, and what either half has seen of FIN and RST.
#![forbid(unsafe_code)]

use gwpool_common::flow::Flow;
use gwpool_common::limits::Settings;
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime::{age, closed, ticks, timeout_s};
use gwpool_ebpf::parse::{TCP, UDP};

/// Above 90 % fill, closing flows make room after this many seconds.
const CLOSING_CROWDED_S: u16 = 10;

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
        let ticks = |seconds| ticks(seconds, settings.ticks_per_1024_s);
        let closing = timeout_s(TCP, true);
        Timers {
            established: ticks(timeout_s(TCP, false)),
            closing: ticks(if crowded { CLOSING_CROWDED_S } else { closing }),
            udp: ticks(timeout_s(UDP, false)),
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
        let closing = mate.is_none_or(|mate| closed(half.flags, mate.flags));
        idle >= match (protocol, closing) {
            (TCP, true) => self.closing,
            (TCP, false) => self.established,
            _ => self.udp,
        }
    }
}

#[cfg(test)]
mod tests;
