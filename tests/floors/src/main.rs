//! The benchmark's own programs, beside which ours are measured.
//!
//! | program | where | |
//! |---|---|---|
//! | `floor_drop`, `floor_turn` | XDP | nothing; both Ethernet addresses change places and it is sent back |
//! | `floor_parse`, `floor_hash` | XDP | the five-tuple read; and looked up in a hash map of one entry |
//! | `floor_redirect` | TC | sent out of another interface |
//! | `send` | XDP | writes a frame of the next flow, and sends it; run by the kernel on frames that it makes |
//! | `step` | XDP | static redirect: other Ethernet addresses, another interface |
//! | `sink_xdp`, `sink_tc` | both | count datagrams, and drop or answer them |
//! | `lap_xdp`, `lap_tc` | | restore the packet, vary its client, and go on with the program that is measured |
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod frame;
#[cfg(target_arch = "bpf")]
mod lap;
#[cfg(target_arch = "bpf")]
mod nothing;
#[cfg(target_arch = "bpf")]
mod wire;

/// On the host there is nothing to run.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Never linked in: the build refuses an object with a panic in it.
    loop {}
}
