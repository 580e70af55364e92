//! Ports that sockets of this host have bound, from the moment bind(2) returned: a TCP socket that neither listens nor
//! speaks yet is in no table that [`super::sockets`] can ask.
//!
//! Both programs see every socket of the machine, and keep to those of this instance's network namespace.

use super::maps::{BINDERS, BOUND, NETWORK_NAMESPACE};
use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST, bpf_sock};
use aya_ebpf::helpers::{bpf_get_netns_cookie, bpf_get_socket_cookie};
use core::arch::asm;
use gwpool_common::nat::End;
use gwpool_common::net::V4;

/// This socket has bound a port.
#[inline(always)]
pub fn enter(socket: *mut bpf_sock) {
    // SAFETY: the kernel hands a valid context to the program.
    let (here, cookie) = unsafe {
        (
            bpf_get_netns_cookie(socket.cast()),
            bpf_get_socket_cookie(socket.cast()),
        )
    };
    if here != NETWORK_NAMESPACE.load() {
        return;
    }
    // SAFETY: as above.
    let end = unsafe {
        End {
            address: (*socket).src_ip4.to_ne_bytes(),
            port: ((*socket).src_port as u16).to_be_bytes(),
            protocol: (*socket).protocol as u8,
            side: End::<V4>::OUTSIDE,
        }
    };
    // No room, or the second of two programs, one of which is about to go: the port counts once, or not.
    if BINDERS.insert(cookie, end, BPF_NOEXIST as u64).is_ok() && !add(&end, 1) {
        let _ = BOUND.insert(end, 1, BPF_ANY as u64);
    }
}

/// This socket is closed.
#[inline(always)]
pub fn leave(socket: *mut bpf_sock) {
    // SAFETY: as in `enter`.
    let cookie = unsafe { bpf_get_socket_cookie(socket.cast()) };
    // SAFETY: nobody else writes this socket's element.
    let Some(end) = (unsafe { BINDERS.get(cookie) }).copied() else {
        return;
    };
    let _ = BINDERS.remove(cookie);
    add(&end, -1);
    // SAFETY: one aligned word.
    if unsafe { BOUND.get(end) }.is_some_and(|count| *count == 0) {
        // Another socket may bind the port in this instant: then it is known to the socket tables alone.
        let _ = BOUND.remove(end);
    }
}

/// A socket of this host has bound this end.
#[inline(always)]
pub fn is(end: &End<V4>) -> bool {
    let anywhere = End {
        address: [0; 4],
        ..*end
    };
    // SAFETY: as in `leave`.
    unsafe { BOUND.get(*end).is_some() || BOUND.get(anywhere).is_some() }
}

/// Adds to the port's count; false: it has none.
#[inline(always)]
fn add(end: &End<V4>, by: i64) -> bool {
    let Some(count) = BOUND.get_ptr_mut(*end) else {
        return false;
    };
    // SAFETY: a live element, 8-byte aligned; atomic with every other CPU.
    unsafe { asm!("lock *(u64 *)({p} + 0) += {n}", p = in(reg) count, n = in(reg) by) };
    true
}
