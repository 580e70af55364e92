//! The kernel's routing (`bpf_fib_lookup`), its answer in the pipeline's words, and the table of next hops.

use super::maps::{DESK, INTERFACES, NEXT_HOPS};
use aya_ebpf::bindings::{BPF_FIB_LKUP_RET_FRAG_NEEDED, bpf_fib_lookup as FibParameters};
use aya_ebpf::helpers::bpf_fib_lookup;
use core::arch::asm;
use core::ffi::c_void;
use gwpool_common::net::{Interface, NextHop, V4};
use gwpool_common::reason::Reason;
use gwpool_ebpf::world::{Lookup, Way};

/// Address family of IPv4 (linux/socket.h).
const AF_INET: u8 = 2;

const _: () = assert!(size_of::<FibParameters>() == size_of::<[u64; 8]>());

/// `World::lookup`.
#[inline(always)]
pub fn ask(context: *mut c_void, question: &Lookup<V4>, interface: u32) -> Result<Way<V4>, Reason> {
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return Err(Reason::NoRoute);
    };
    let size = size_of::<FibParameters>() as i32;
    // SAFETY: this CPU's own desk, large enough and aligned; the program's own context, and a structure of the size given.
    unsafe {
        let fib: *mut FibParameters = (&raw mut (*desk).question).cast();
        put(&mut *fib, question, interface);
        let answer = bpf_fib_lookup(context, fib, size, 0);
        if answer as u32 == BPF_FIB_LKUP_RET_FRAG_NEEDED {
            // The length was given, so the helper has put the MTU in its place.
            (*desk).mtu = (*fib).__bindgen_anon_1.mtu_result;
        }
        answer_of(answer, &*fib)
    }
}

/// The question in the helper's words.
#[inline(always)]
fn put(fib: &mut FibParameters, question: &Lookup<V4>, interface: u32) {
    fib.family = AF_INET;
    fib.l4_protocol = question.protocol;
    fib.sport = u16::from_ne_bytes(question.source_port);
    fib.dport = u16::from_ne_bytes(question.destination_port);
    fib.__bindgen_anon_1.tot_len = question.length;
    fib.__bindgen_anon_2.flowinfo = 0;
    fib.__bindgen_anon_2.tos = question.tos;
    fib.__bindgen_anon_3.ipv4_src = u32::from_ne_bytes(question.source);
    fib.__bindgen_anon_4.ipv4_dst = u32::from_ne_bytes(question.destination);
    fib.ifindex = interface;
}

/// The helper's answer in ours (net/core/filter.c, `bpf_ipv4_fib_lookup`).
#[inline(always)]
fn answer_of(answer: i64, fib: &FibParameters) -> Result<Way<V4>, Reason> {
    use aya_ebpf::bindings::*;
    match answer as u32 {
        BPF_FIB_LKUP_RET_SUCCESS => {
            // SAFETY: on success the helper has written the interface the frame leaves by.
            let out = unsafe { INTERFACES.get(fib.ifindex) };
            let flags = out.map_or(0, |out| out.flags);
            Ok(Way::Known(NextHop {
                state: NextHop::VALID,
                epoch: 0,
                interface: fib.ifindex,
                destination: fib.dmac,
                source: fib.smac,
                // SAFETY: the length was given, so the helper has put the MTU in its place.
                mtu: unsafe { fib.__bindgen_anon_1.mtu_result },
                flags: taken_how(flags),
            }))
        }
        BPF_FIB_LKUP_RET_NO_NEIGH => Ok(Way::Unresolved {
            interface: fib.ifindex,
            // SAFETY: the helper has put the next hop in place of the destination.
            gateway: unsafe { fib.__bindgen_anon_4.ipv4_dst }.to_ne_bytes(),
        }),
        BPF_FIB_LKUP_RET_FRAG_NEEDED => Err(Reason::TooBig),
        BPF_FIB_LKUP_RET_FWD_DISABLED => Err(Reason::ForwardingDisabled),
        _ => Err(Reason::NoRoute),
    }
}

/// How frames leave by an interface with these flags. Arithmetic: the verifier would walk the rest of the way with each
/// case by itself.
#[inline(always)]
const fn taken_how(flags: u32) -> u16 {
    const { assert!(Interface::XDP == 1 && Interface::SLEEPS == 2) };
    const { assert!(NextHop::TC_ONLY == 1 && NextHop::SLEEPS == 2) };
    ((!flags & 1) | (flags & 2 & (flags << 1))) as u16
}

/// `World::claim_next_hop`: fills an entry that is free.
#[inline(always)]
pub fn claim(index: u16, hop: &NextHop) -> bool {
    let Some(entry) = NEXT_HOPS.get_ptr_mut(index as u32) else {
        return false;
    };
    let found: u64;
    // SAFETY: a live element of the array; `state` is its first field, 8-byte aligned.
    unsafe {
        asm!("r0 = cmpxchg_64({p} + 0, r0, {n})", p = in(reg) entry, n = in(reg) NextHop::CLAIMED,
            inout("r0") NextHop::FREE => found);
    }
    if found != NextHop::FREE {
        return false;
    }
    // SAFETY: as above; claimed, so nobody else writes it, and nobody uses it before it is valid.
    unsafe {
        (*entry).epoch = hop.epoch;
        (*entry).interface = hop.interface;
        (*entry).destination = hop.destination;
        (*entry).source = hop.source;
        (*entry).mtu = hop.mtu;
        (*entry).flags = hop.flags;
        core::ptr::write_volatile(&raw mut (*entry).state, NextHop::VALID);
    }
    true
}
