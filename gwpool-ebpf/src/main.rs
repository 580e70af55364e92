//! The programs: entry points, one match from verdict to action, and the one place where packets are counted.
//!
//! | program | where | |
//! |---|---|---|
//! | `gwpool_xdp` | XDP | ingress of a managed interface |
//! | `gwpool_finish` | TC ingress | beside XDP: finishes what XDP passed unfinished |
//! | `gwpool_ingress` | TC ingress | where there is no XDP |
//! | `gwpool_egress` | TC egress | always: this host's own answers as backend |
//! | `gwpool_bound`, `gwpool_closed` | root cgroup | where this host translates: which ports its sockets have bound |
//! | `gwpool_reinject` | nowhere | run by the daemon on a fragment it has held |
//! | `gwpool_clock` | nowhere | run by the daemon to learn the tick |
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod kernel;

#[cfg(target_arch = "bpf")]
mod programs;

/// On the host there is nothing to run: `cargo xtask ebpf` builds this for the bpf target.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Never linked in: `cargo xtask ebpf` refuses an object with a panic in it.
    loop {}
}
