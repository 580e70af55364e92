//! Programs that do next to nothing: what any program costs.

use crate::frame::{Ethernet, Frame, Ipv4, L3, L4, Ports};
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::helpers::bpf_redirect;
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

/// A five-tuple, as large as ours.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Key {
    source: [u8; 4],
    destination: [u8; 4],
    ports: Ports,
    protocol: u8,
    pad: [u8; 3],
}

/// As large a value as ours; one entry, which the bench puts there.
#[btf_map]
static FOUND: HashMap<Key, [u64; 3], 1024> = HashMap::new();

/// Nothing.
#[xdp(frags)]
pub fn floor_drop(_context: XdpContext) -> u32 {
    XDP_DROP
}

/// Sends the frame back.
#[xdp(frags)]
pub fn floor_turn(context: XdpContext) -> u32 {
    let Some(ethernet) = window(&context).at::<Ethernet>(0) else {
        return XDP_DROP;
    };
    // SAFETY: inside the frame.
    unsafe {
        let Ethernet {
            destination,
            source,
            kind,
        } = *ethernet;
        *ethernet = Ethernet {
            destination: source,
            source: destination,
            kind,
        };
    }
    XDP_TX
}

/// Reads the five-tuple.
#[xdp(frags)]
pub fn floor_parse(context: XdpContext) -> u32 {
    match key(window(&context)) {
        Some(key) if key.source != key.destination => XDP_DROP,
        _ => XDP_PASS,
    }
}

/// Looks it up.
#[xdp(frags)]
pub fn floor_hash(context: XdpContext) -> u32 {
    match key(window(&context)) {
        Some(key) if FOUND.get_ptr(&key).is_some() => XDP_TX,
        _ => XDP_PASS,
    }
}

/// Sends the frame out of the loopback interface: `BPF_PROG_TEST_RUN` does not do it.
#[classifier]
pub fn floor_redirect(_context: TcContext) -> i32 {
    // SAFETY: takes two numbers.
    unsafe { bpf_redirect(1, 0) as i32 }
}

#[inline(always)]
fn window(context: &XdpContext) -> Frame {
    Frame::new(context.data(), context.data_end())
}

#[inline(always)]
fn key(frame: Frame) -> Option<Key> {
    let (ethernet, ip) = (frame.at::<Ethernet>(0)?, frame.at::<Ipv4>(L3)?);
    let ports = frame.at::<Ports>(L4)?;
    // SAFETY: inside the frame.
    let (kind, ip, ports) = unsafe { ((*ethernet).kind, *ip, *ports) };
    let whole = u16::from_be_bytes(ip.fragment) & 0x3fff == 0;
    let carried = ip.protocol == 6 || ip.protocol == 17;
    if kind != [8, 0] || ip.version_ihl != 0x45 || !whole || !carried {
        return None;
    }
    Some(Key {
        source: ip.source,
        destination: ip.destination,
        ports,
        protocol: ip.protocol,
        pad: [0; 3],
    })
}
