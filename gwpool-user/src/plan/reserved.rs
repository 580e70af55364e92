//! The ports of a NAT address that are never given out, as words of the map `PORTS`: a bit a port, set where it is
//! reserved. What mappings hold comes on top of that, from whoever writes the words.
//!
//! ICMP's query identifiers are all free: the host has no listeners among them.
#![forbid(unsafe_code)]

use super::plan::{ListenAddress, Plan, Protocol};
use gwpool_common::limits::PORT_WORDS;
use gwpool_common::net::V4;
use gwpool_ebpf::pool::{BITS, bit};
use std::ops::RangeInclusive;

/// The words of an address and a protocol (by its number): ports outside `nat.ports`, `nat.host_ports`, and the
/// ports that routes listen on there.
pub fn words(plan: &Plan, address: V4, protocol: u8) -> Vec<u64> {
    let mut words = vec![0; PORT_WORDS as usize];
    let Some(nat) = &plan.nat else {
        return words;
    };
    let is_it = |known: &Protocol| known.number() == protocol;
    let Some(protocol) = [Protocol::Tcp, Protocol::Udp].into_iter().find(is_it) else {
        return words;
    };
    words.fill(u64::MAX);
    nat.ports.iter().for_each(|ports| clear(&mut words, ports));
    // No packet has it.
    set(&mut words, &(0..=0));
    nat.host_ports
        .iter()
        .for_each(|ports| set(&mut words, ports));
    for route in &plan.routes {
        let is_there = |listen: &ListenAddress| match listen {
            ListenAddress::Any => true,
            ListenAddress::One(listen) => listen.octets() == address,
        };
        if route.protocol == protocol && route.listen.iter().any(is_there) {
            let last = route.port.saturating_add(route.ports.saturating_sub(1));
            set(&mut words, &(route.port..=last));
        }
    }
    words
}

/// The words behind those: a bit a word, set where it is full.
pub fn full(words: &[u64]) -> Vec<u64> {
    let is_full = |part: &[u64]| {
        let bits = part.iter().enumerate();
        bits.fold(0, |full, (place, word)| {
            full | (u64::from(*word == u64::MAX) << place)
        })
    };
    words.chunks(BITS as usize).map(is_full).collect()
}

fn set(words: &mut [u64], ports: &RangeInclusive<u16>) {
    each(words, ports, |word, bits| *word |= bits);
}

fn clear(words: &mut [u64], ports: &RangeInclusive<u16>) {
    each(words, ports, |word, bits| *word &= !bits);
}

/// Word by word: a range may be of all ports, and there may be ten thousand ranges.
fn each(words: &mut [u64], ports: &RangeInclusive<u16>, change: impl Fn(&mut u64, u64)) {
    if ports.is_empty() {
        return;
    }
    let ((first, low), (last, high)) = (bit(*ports.start()), bit(*ports.end()));
    // From the lowest bit up, and up to the highest: `low` and `high` are single bits.
    let (from, to) = (low.wrapping_neg(), high | (high - 1));
    for index in first..=last {
        let lower = if index == first { from } else { u64::MAX };
        let upper = if index == last { to } else { u64::MAX };
        change(&mut words[index as usize], lower & upper);
    }
}

#[cfg(test)]
mod tests;
