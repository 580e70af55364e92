//! The kernel's socket tables: whether a port of this host is one of its own sockets'.

use aya_ebpf::bindings::{bpf_sock, bpf_sock_tuple};
use aya_ebpf::helpers::{bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp};
use core::ffi::c_void;
use gwpool_common::flow::FlowKey;
use gwpool_common::net::V4;
use gwpool_ebpf::parse::{TCP, UDP};
use gwpool_ebpf::translation::Socket;

/// Bytes of an IPv4 tuple in `bpf_sock_tuple`.
const TUPLE: u32 = 12;
/// This program's network namespace (linux/bpf.h, BPF_F_CURRENT_NETNS).
const HERE: u64 = -1i64 as u64;
/// TCP_SYN_SENT and TCP_LISTEN (include/net/tcp_states.h).
const SYN_SENT: u32 = 2;
const LISTEN: u32 = 10;

/// The socket that a packet with this key would reach. `context`: the program's own; the verifier wants it as it came.
#[inline(always)]
pub fn of(context: *mut c_void, key: &FlowKey<V4>) -> Socket {
    // SAFETY: plain integers, for which zero is a value.
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    tuple.__bindgen_anon_1.ipv4.saddr = u32::from_ne_bytes(key.source);
    tuple.__bindgen_anon_1.ipv4.daddr = u32::from_ne_bytes(key.destination);
    tuple.__bindgen_anon_1.ipv4.sport = u16::from_ne_bytes(key.source_port);
    tuple.__bindgen_anon_1.ipv4.dport = u16::from_ne_bytes(key.destination_port);
    let place = &raw mut tuple;
    if key.protocol == TCP {
        // SAFETY: a tuple of the size given, the program's own context.
        let sock = unsafe { bpf_skc_lookup_tcp(context, place, TUPLE, HERE, 0) };
        // One that has sent a SYN gets another port if an inside host has this one: that is changed as it leaves.
        // SAFETY: not null, see `said`.
        said(sock, |sock| {
            let state = unsafe { (*sock).state };
            state != LISTEN && state != SYN_SENT
        })
    } else if key.protocol == UDP {
        // SAFETY: as above.
        let sock = unsafe { bpf_sk_lookup_udp(context, place, TUPLE, HERE, 0) };
        // SAFETY: not null, see `said`.
        said(sock, |sock| unsafe { (*sock).dst_port } != 0)
    } else {
        Socket::None
    }
}

/// What the helper has found, given back.
#[inline(always)]
fn said(sock: *mut bpf_sock, connected: impl Fn(*mut bpf_sock) -> bool) -> Socket {
    if sock.is_null() {
        return Socket::None;
    }
    let connected = connected(sock);
    // SAFETY: found above and not used any more; the kernel holds it for us until here.
    unsafe { bpf_sk_release(sock.cast()) };
    if connected {
        Socket::Connected
    } else {
        Socket::Open
    }
}
