//! When the sweep ends a flow; pure. The timers and what counts as closed are the pipeline's own (`lifetime`).
//!
//! Marks are 16-bit ticks that wrap after 18 hours, so ages are differences. A pair is one flow: the later of its
//! two marks counts, and what either half has seen of FIN and RST.
#![forbid(unsafe_code)]

use super::halves::ends;
use gwpool_common::flow::Flow;
use gwpool_common::limits::{Settings, TCP_CLOSING_HURRIED_S, TCP_CLOSING_S};
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime::{age, limit_s, ticks};
use gwpool_ebpf::parse::{TCP, UDP};

/// Idle times in ticks, by backend id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    backends: Vec<Limits>,
    others: Limits,
}

/// One backend's idle times in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    tcp: u16,
    closed: u16,
    udp: u16,
}

impl Timers {
    /// Seconds to ticks, rounded up. `idle_s`: backends' ids and their own idle times, 0 for none.
    pub fn of(settings: &Settings, idle_s: impl Iterator<Item = (u32, u16)>) -> Self {
        let limits = |idle_s| {
            let limit = |protocol, closed| {
                let seconds = limit_s(protocol, closed, idle_s, settings.closing_s);
                ticks(seconds, settings.ticks_per_1024_s)
            };
            Limits {
                tcp: limit(TCP, false),
                closed: limit(TCP, true),
                udp: limit(UDP, false),
            }
        };
        let others = limits(0);
        let mut backends = Vec::new();
        for (id, own) in idle_s.filter(|(_, own)| *own != 0) {
            if id as usize >= backends.len() {
                backends.resize(id as usize + 1, others);
            }
            backends[id as usize] = limits(own);
        }
        Timers { backends, others }
    }

    /// How long a flow to the backend may be idle, ticks.
    pub fn limit(&self, protocol: u8, closed: bool, backend: u32) -> u16 {
        let limits = self.backends.get(backend as usize).unwrap_or(&self.others);
        match (protocol, closed) {
            (TCP, true) => limits.closed,
            (TCP, false) => limits.tcp,
            _ => limits.udp,
        }
    }

    /// Whether this half alone makes the flow worth a look at both. Of a flow that is over, one half does.
    pub fn suspects(&self, protocol: u8, half: &Flow<V4>, now: u16) -> bool {
        age(half.seen, now) >= self.limit(protocol, ends(half), half.backend_id())
    }
}

/// The time for closed flows: short while the established tier is more than 90 % full, until it is below 80 %.
pub fn closing_s(present: u16, entries: u64, capacity: u64) -> u16 {
    if entries * 10 > capacity * 9 {
        TCP_CLOSING_HURRIED_S
    } else if entries * 10 < capacity * 8 || present == 0 {
        TCP_CLOSING_S
    } else {
        present
    }
}

#[cfg(test)]
mod tests;
