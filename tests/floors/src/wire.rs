//! Both ends of a wire: a sender of frames, and a sink that counts what has arrived; and the least that can be done
//! between them.
//!
//! The kernel makes the sender's frames and hands them out again when the receiver has freed them, as the receiver has
//! left them: so the sender writes all of a frame each time. What is no UDP passes the sinks, ARP above all.

use crate::frame::{Ethernet, Frame, Ipv4, L3, L4, Ports};
use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::btf_maps::{Array, PerCpuArray};
use aya_ebpf::helpers::bpf_redirect;
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use gwpool_floors::{FRAME, Sending, Step};

const UDP: u8 = 17;
/// linux/pkt_cls.h: TC_ACT_UNSPEC, as if no program were there, and TC_ACT_SHOT.
const PASS: i32 = -1;
const DROP: i32 = 2;

/// The only entry.
#[btf_map]
static SENDING: Array<Sending, 1> = Array::new();
/// The only entry.
#[btf_map]
static STEP: Array<Step, 1> = Array::new();
/// Datagrams that have arrived.
#[btf_map]
static ARRIVED: PerCpuArray<u64, 1> = PerCpuArray::new();
/// The sink's interface, if it answers.
#[btf_map]
static ANSWERS: Array<u32, 1> = Array::new();

/// Writes the next frame, and sends it.
#[xdp(frags)]
pub fn send(context: XdpContext) -> u32 {
    write(window(&context)).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn write(frame: Frame) -> Option<u32> {
    let sending = SENDING.get_ptr_mut(0)?;
    let place = frame.at::<[u8; FRAME]>(0)?;
    // SAFETY: a live element of the array, which one sender at a time uses, and bytes inside the frame.
    unsafe {
        let (number, flows) = ((*sending).number, u64::from((*sending).flows));
        (*sending).number = number.wrapping_add(1);
        if flows == 0 {
            return None;
        }
        let turn = number.wrapping_mul(u64::from((*sending).stride)) % flows;
        let (host, port) = gwpool_floors::end((*sending).first.wrapping_add(turn as u32));
        *place = (*sending).frame;
        *frame.at::<[u8; 2]>(L3 + 14)? = host.to_be_bytes();
        *frame.at::<[u8; 2]>(L4)? = port.to_be_bytes();
        add(frame.at(L3 + 10)?, u32::from(host));
        add(frame.at(L4 + 6)?, u32::from(host) + u32::from(port));
        Some(bpf_redirect((*sending).interface, 0) as u32)
    }
}

/// Makes a checksum that of the same bytes with these words where zeros were (RFC 1624).
///
/// # Safety
/// `place` is inside the frame.
#[inline(always)]
unsafe fn add(place: *mut [u8; 2], words: u32) {
    // SAFETY: as the caller says.
    let check = unsafe { &mut *place };
    let mut sum = u32::from(!u16::from_be_bytes(*check)) + words;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    *check = (!(sum as u16)).to_be_bytes();
}

/// Static redirect.
#[xdp(frags)]
pub fn step(context: XdpContext) -> u32 {
    let frame = window(&context);
    if !is_ipv4(frame) {
        return XDP_PASS;
    }
    let (Some(step), Some(addresses)) = (STEP.get_ptr(0), frame.at::<[u8; 12]>(0)) else {
        return XDP_ABORTED;
    };
    // SAFETY: a live element of the array, and bytes inside the frame.
    unsafe {
        *addresses = (*step).addresses;
        bpf_redirect((*step).interface, 0) as u32
    }
}

/// The sink of frames.
#[xdp(frags)]
pub fn sink_xdp(context: XdpContext) -> u32 {
    match sink(window(&context)) {
        None => XDP_PASS,
        Some(0) => XDP_DROP,
        Some(_) => XDP_TX,
    }
}

/// The sink of what the kernel has made of them.
#[classifier]
pub fn sink_tc(context: TcContext) -> i32 {
    match sink(Frame::new(context.data(), context.data_end())) {
        None => PASS,
        Some(0) => DROP,
        // SAFETY: takes two numbers.
        Some(interface) => unsafe { bpf_redirect(interface, 0) as i32 },
    }
}

/// Counts a datagram, and makes it its own answer if that is wanted: out of this interface then, else 0.
#[inline(always)]
fn sink(frame: Frame) -> Option<u32> {
    if !is_datagram(frame) {
        return None;
    }
    let (count, answers) = (ARRIVED.get_ptr_mut(0)?, ANSWERS.get_ptr(0)?);
    // SAFETY: live elements of arrays, this CPU's and one that only the bench writes.
    let interface = unsafe {
        *count += 1;
        *answers
    };
    if interface != 0 {
        turn(frame)?;
    }
    Some(interface)
}

/// Who has sent it is who gets it; no checksum changes by that.
#[inline(always)]
fn turn(frame: Frame) -> Option<()> {
    let (ethernet, ip) = (frame.at::<Ethernet>(0)?, frame.at::<Ipv4>(L3)?);
    let ports = frame.at::<Ports>(L4)?;
    // SAFETY: inside the frame.
    unsafe {
        ((*ethernet).destination, (*ethernet).source) =
            ((*ethernet).source, (*ethernet).destination);
        ((*ip).source, (*ip).destination) = ((*ip).destination, (*ip).source);
        let [a, b, c, d] = *ports;
        *ports = [c, d, a, b];
    }
    Some(())
}

#[inline(always)]
fn is_datagram(frame: Frame) -> bool {
    // SAFETY: inside the frame.
    is_ipv4(frame)
        && frame
            .at::<Ipv4>(L3)
            .is_some_and(|ip| unsafe { (*ip).protocol == UDP })
}

#[inline(always)]
fn is_ipv4(frame: Frame) -> bool {
    // SAFETY: inside the frame.
    frame
        .at::<Ethernet>(0)
        .is_some_and(|ethernet| unsafe { (*ethernet).kind == [8, 0] })
}

#[inline(always)]
fn window(context: &XdpContext) -> Frame {
    Frame::new(context.data(), context.data_end())
}
