//! When the sweep ends a flow or a mapping; pure. The timers and what counts as closed are the pipeline's own
//! (`lifetime`).
//!
//! Marks are 16-bit ticks that wrap after 18 hours, so ages are differences. A pair is one flow: the later of its
//! two marks counts, and what either half has seen of FIN and RST.
#![forbid(unsafe_code)]

use super::census::NAT;
use super::halves::ends;
use gwpool_common::flow::Flow;
use gwpool_common::limits::{self, Settings, TCP_CLOSING_HURRIED_S, TCP_CLOSING_S};
use gwpool_common::nat::Nat;
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime::{age, lapse, limit_s, nat_closing_s, nat_idle_s, nat_transitory_s};
use gwpool_ebpf::parse::{ICMP, TCP, UDP};

/// Timers of which nothing is said.
const UNSET: Nat<V4> = Nat {
    tcp_established_s: limits::TCP_ESTABLISHED_S,
    tcp_transitory_s: limits::HANDSHAKE_S,
    udp_s: limits::UDP_S,
    udp_unreplied_s: limits::UDP_UNREPLIED_S,
    icmp_s: limits::ICMP_S,
    other_s: limits::OTHER_S,
    ..Nat::NONE
};

/// Idle times in ticks, by backend id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    backends: Vec<Limits>,
    others: Limits,
    nat: Translated,
    ticks_per_1024_s: u32,
}

/// Those of translation, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Translated {
    flows: Limits,
    icmp: u16,
    other: u16,
    /// Of what nothing has proved: handshakes, UDP that nobody answers.
    tcp_transitory: u16,
    udp_unreplied: u16,
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
    pub fn of(
        settings: &Settings,
        nat: &Nat<V4>,
        idle_s: impl Iterator<Item = (u32, u16)>,
    ) -> Self {
        let limits = |idle_s| {
            let limit = |protocol, closed| {
                let seconds = limit_s(protocol, closed, idle_s, settings.closing_s);
                lapse(seconds, settings.ticks_per_1024_s)
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
        Timers {
            backends,
            others,
            nat: Translated::of(settings, nat),
            ticks_per_1024_s: settings.ticks_per_1024_s,
        }
    }

    /// How long an established flow to the backend may be idle, ticks.
    pub fn limit(&self, protocol: u8, closed: bool, backend: u32) -> u16 {
        let limits = match (backend, protocol) {
            (NAT, TCP | UDP) => &self.nat.flows,
            (NAT, ICMP) => return self.nat.icmp,
            (NAT, _) => return self.nat.other,
            _ => self.backends.get(backend as usize).unwrap_or(&self.others),
        };
        match (protocol, closed) {
            (TCP, true) => limits.closed,
            (TCP, false) => limits.tcp,
            _ => limits.udp,
        }
    }

    /// How long an embryonic flow to the backend is waited for, ticks.
    pub fn waits(&self, protocol: u8, backend: u32) -> u16 {
        match (backend, protocol) {
            (NAT, _) => self.mapping(protocol),
            (_, TCP) => lapse(limits::HANDSHAKE_S, self.ticks_per_1024_s),
            _ => lapse(limits::UDP_UNREPLIED_S, self.ticks_per_1024_s),
        }
    }

    /// How long a mapping that no flow names may be idle, ticks.
    pub fn mapping(&self, protocol: u8) -> u16 {
        match protocol {
            TCP => self.nat.tcp_transitory,
            UDP => self.nat.udp_unreplied,
            ICMP => self.nat.icmp,
            _ => self.nat.other,
        }
    }

    /// Ticks as seconds.
    pub fn seconds(&self, ticks: u16) -> u32 {
        let per_1024_s = self.ticks_per_1024_s.max(1);
        (u32::from(ticks) << 10) / per_1024_s
    }

    /// Whether this half alone makes the flow worth a look at both. Of a flow that is over, one half does.
    pub fn suspects(&self, protocol: u8, half: &Flow<V4>, now: u16) -> bool {
        age(half.seen, now) >= self.limit(protocol, ends(half), half.backend_id())
    }
}

impl Translated {
    /// Where nothing is set any more, as it is by itself: a host that no longer translates ends its flows in time.
    fn of(settings: &Settings, nat: &Nat<V4>) -> Self {
        let idle = |seconds| lapse(seconds, settings.ticks_per_1024_s);
        let nat = if nat.tcp_established_s == 0 {
            &UNSET
        } else {
            nat
        };
        Translated {
            flows: Limits {
                tcp: idle(nat_idle_s(nat, TCP)),
                closed: idle(nat_closing_s(nat, settings.closing_s)),
                udp: idle(nat_idle_s(nat, UDP)),
            },
            icmp: idle(nat_idle_s(nat, ICMP)),
            other: idle(nat.other_s),
            tcp_transitory: idle(nat_transitory_s(nat, TCP)),
            udp_unreplied: idle(nat_transitory_s(nat, UDP)),
        }
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
