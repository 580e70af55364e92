//! The ways out of a program that are helper calls: another interface, or the kernel's neighbour resolution.

use aya_ebpf::bindings::{BPF_F_INGRESS, bpf_redir_neigh};
use aya_ebpf::helpers::{bpf_clone_redirect, bpf_redirect, bpf_redirect_neigh};
use aya_ebpf::programs::TcContext;
use gwpool_common::net::V4;

/// Address family of IPv4 (linux/socket.h).
const AF_INET: u32 = 2;

/// Sends the frame as it is out of the interface.
#[inline(always)]
pub fn by(interface: u32) -> i64 {
    // SAFETY: takes two numbers.
    unsafe { bpf_redirect(interface, 0) }
}

/// Lets the kernel resolve the neighbour, write the Ethernet header and send.
#[inline(always)]
pub fn towards(gateway: V4, interface: u32) -> i64 {
    // SAFETY: plain integers, for which zero is a value.
    let mut next: bpf_redir_neigh = unsafe { core::mem::zeroed() };
    next.nh_family = AF_INET;
    next.__bindgen_anon_1.ipv4_nh = u32::from_ne_bytes(gateway);
    let size = size_of::<bpf_redir_neigh>() as i32;
    // SAFETY: a structure of the size given.
    unsafe { bpf_redirect_neigh(interface, &raw mut next, size, 0) }
}

/// Lets a copy of the frame come in by the interface it is on; 0: the kernel has taken it.
#[inline(always)]
pub fn again(context: &TcContext) -> i64 {
    let skb = context.skb.skb;
    // SAFETY: the kernel hands a valid context to the program.
    unsafe { bpf_clone_redirect(skb, (*skb).ifindex, BPF_F_INGRESS as u64) }
}
