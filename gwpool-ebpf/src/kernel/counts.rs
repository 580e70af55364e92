//! Counters: of packets, which each CPU has its own of, and of live flows, which all share.

use super::maps::{ANSWERS, COUNTERS, LOADS, REASONS, SHARES, SOURCES, SUBSCRIBERS};
use aya_ebpf::bindings::BPF_NOEXIST;
use core::arch::asm;
use gwpool_common::net::V4;
use gwpool_common::reason::Reason;
use gwpool_common::route::{Counters, Source};
use gwpool_ebpf::parse::TCP;
use gwpool_ebpf::world::{Side, Step};

/// One more packet that ended for this reason, or as many as it stands for. Each packet comes here once.
#[inline(always)]
pub fn count_reason(reason: Reason, packets: u32) {
    if let Some(counter) = REASONS.get_ptr_mut(reason as u32) {
        // SAFETY: this CPU's own slot; programs are not preempted by others that write it.
        count(unsafe { &mut *counter }, packets as u64);
    }
}

/// `World::count_carried`.
#[inline(always)]
pub fn carried(backend: u32, from: Side, packets: u32, bytes: u32) {
    let Some(counters) = COUNTERS.get_ptr_mut(backend) else {
        return;
    };
    // SAFETY: as in `count_reason`.
    let counters: &mut Counters = unsafe { &mut *counters };
    match from {
        Side::Client => {
            count(&mut counters.to_backend_packets, packets as u64);
            count(&mut counters.to_backend_bytes, bytes as u64);
        }
        Side::Backend => {
            count(&mut counters.to_client_packets, packets as u64);
            count(&mut counters.to_client_bytes, bytes as u64);
        }
    }
}

/// `World::move_load`.
#[inline(always)]
pub fn load(backend: u32, by: Step) {
    if let Some(load) = LOADS.get_ptr_mut(backend) {
        // SAFETY: a live element of the array; `moved` is its first field, 8-byte aligned.
        unsafe { add(load.cast(), by) };
    }
}

/// `World::move_share`.
#[inline(always)]
pub fn share(protocol: u8, client: &V4, by: Step, now: u32) {
    if let Some(load) = SHARES.get_ptr_mut(place(protocol)) {
        // SAFETY: as in `load`.
        unsafe { add(load.cast(), by) };
    }
    let Some(source) = SOURCES.get_ptr_mut(client) else {
        if by == Step::Up {
            let first = Source {
                moved: 1,
                base: 0,
                tick: now,
                fresh: 1,
            };
            // Taken by another CPU meanwhile: one flow goes uncounted until the census.
            let _ = SOURCES.insert(client, first, BPF_NOEXIST as u64);
        }
        return;
    };
    // SAFETY: a live element, aligned; the tier may reuse it meanwhile: the census puts the count right.
    unsafe {
        let by = if by == Step::Up { 1u32 } else { u32::MAX };
        asm!("lock *(u32 *)({p} + 0) += {n}", p = in(reg) source, n = in(reg) by);
        if by == 1 {
            // Two CPUs at once may count one too few: a rate, not a balance.
            let fresh = if (*source).tick == now {
                (*source).fresh
            } else {
                0
            };
            (*source).tick = now;
            (*source).fresh = fresh.wrapping_add(1);
        }
    }
}

/// `World::move_subscriber`.
#[inline(always)]
pub fn subscriber(address: &V4, by: Step) {
    let Some(held) = SUBSCRIBERS.get_ptr_mut(address) else {
        if by == Step::Up {
            let first = Source {
                moved: 1,
                ..Source::NONE
            };
            // As in `share`.
            let _ = SUBSCRIBERS.insert(address, first, BPF_NOEXIST as u64);
        }
        return;
    };
    let by = if by == Step::Up { 1u32 } else { u32::MAX };
    // SAFETY: as in `share`.
    unsafe { asm!("lock *(u32 *)({p} + 0) += {n}", p = in(reg) held, n = in(reg) by) };
}

/// One mapping more that the daemon's log does not hear of.
#[inline(always)]
pub fn unlogged() {
    if let Some(answers) = ANSWERS.get_ptr_mut(0) {
        // SAFETY: as in `count_reason`.
        count(unsafe { &mut (*answers).unlogged }, 1);
    }
}

/// Adds to a counter that only this CPU writes.
#[inline(always)]
pub fn count(counter: &mut u64, by: u64) {
    *counter = counter.wrapping_add(by);
}

/// Where the protocol stands in `SHARES`.
#[inline(always)]
pub fn place(protocol: u8) -> u32 {
    (protocol != TCP) as u32
}

/// Adds or takes one, whatever other CPUs do.
///
/// # Safety
/// A live, aligned word of a map.
#[inline(always)]
unsafe fn add(word: *mut u64, by: Step) {
    let by = if by == Step::Up { 1u64 } else { u64::MAX };
    // SAFETY: the caller's word.
    unsafe { asm!("lock *(u64 *)({p} + 0) += {n}", p = in(reg) word, n = in(reg) by) };
}
