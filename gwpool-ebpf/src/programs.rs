//! From verdict to action. Every packet that a program answers for is counted here, once, and nowhere else.
//!
//! XDP marks what it leaves unfinished with four bytes before the packet; TC beside it takes up only those.

use crate::kernel::maps::SETTINGS;
use crate::kernel::window::{TcWindow, XdpWindow};
use crate::kernel::world::{Kernel, count_reason, tick};
use aya_ebpf::bindings::{__sk_buff, bpf_redir_neigh, xdp_action, xdp_md};
use aya_ebpf::helpers::{bpf_redirect, bpf_redirect_neigh, bpf_xdp_adjust_meta};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use gwpool_common::net::V4;
use gwpool_common::reason::{Fate, Reason};
use gwpool_ebpf::packet::Packet;
use gwpool_ebpf::{Verdict, egress, ingress};

/// "gwpl": what XDP writes before a packet that TC shall finish.
const UNFINISHED: u32 = 0x6777_706c;

/// TC: the packet goes on, to the next program or to the stack (linux/bpf.h, TCX_NEXT; linux/pkt_cls.h, TC_ACT_UNSPEC).
const NEXT: i32 = -1;
/// TC: the packet ends here (TC_ACT_SHOT).
const SHOT: i32 = 2;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

/// Ingress at XDP.
#[xdp(frags)]
pub fn gwpool_xdp(context: XdpContext) -> u32 {
    let context: *mut xdp_md = context.ctx;
    // SAFETY: the kernel hands a valid context to the program.
    let interface = unsafe { (*context).ingress_ifindex };
    let mut world = Kernel::new(context.cast(), interface, false);
    match ingress(&mut XdpWindow(context), &mut world) {
        Ok(Verdict::Transmit(reason, hop)) => {
            count_reason(reason, 1);
            if hop.interface == interface {
                return xdp_action::XDP_TX;
            }
            // SAFETY: takes two numbers.
            unsafe { bpf_redirect(hop.interface, 0) as u32 }
        }
        Ok(Verdict::Deliver(reason)) => {
            count_reason(reason, 1);
            xdp_action::XDP_PASS
        }
        // `Resolve` is TC's: the pipeline gives it only where `resolves` says so.
        Ok(Verdict::Unfinished | Verdict::Resolve(..)) => hand_on(context),
        Err(reason) => {
            count_reason(reason, 1);
            if let Fate::Dropped = reason.fate() {
                xdp_action::XDP_DROP
            } else {
                xdp_action::XDP_PASS
            }
        }
    }
}

/// Marks an untouched packet for `gwpool_finish`.
#[inline(always)]
fn hand_on(context: *mut xdp_md) -> u32 {
    // SAFETY: the kernel hands a valid context to the program.
    let made_room = unsafe { bpf_xdp_adjust_meta(context, -(size_of::<u32>() as i32)) } == 0;
    // SAFETY: as above; the helper has moved `data_meta`, so it is read after.
    let (mark, data) = unsafe { ((*context).data_meta as usize, (*context).data as usize) };
    if !made_room || mark + size_of::<u32>() > data {
        count_reason(Reason::NoMetadata, 1);
        return xdp_action::XDP_DROP;
    }
    // SAFETY: between `data_meta` and `data` by the check above; the kernel keeps it 4-byte aligned.
    unsafe { *(mark as *mut u32) = UNFINISHED };
    xdp_action::XDP_PASS
}

/// Ingress at TC beside XDP.
#[classifier]
pub fn gwpool_finish(context: TcContext) -> i32 {
    let skb = context.skb.skb;
    // SAFETY: the kernel hands a valid context to the program.
    let (mark, data) = unsafe { ((*skb).data_meta as usize, (*skb).data as usize) };
    if mark + size_of::<u32>() > data {
        return NEXT;
    }
    // SAFETY: between `data_meta` and `data` by the check above.
    if unsafe { *(mark as *const u32) } != UNFINISHED {
        return NEXT;
    }
    tc_ingress(skb)
}

/// Ingress at TC without XDP.
#[classifier]
pub fn gwpool_ingress(context: TcContext) -> i32 {
    tc_ingress(context.skb.skb)
}

#[inline(always)]
fn tc_ingress(skb: *mut __sk_buff) -> i32 {
    // SAFETY: the kernel hands a valid context to the program.
    let interface = unsafe { (*skb).ifindex };
    let mut window = TcWindow::new(skb);
    let mut world = Kernel::new(skb.cast(), interface, true);
    let verdict = ingress(&mut window, &mut world);
    tc_action(verdict, window.segments())
}

/// Egress at TC.
#[classifier]
pub fn gwpool_egress(context: TcContext) -> i32 {
    let skb = context.skb.skb;
    // SAFETY: the kernel hands a valid context to the program.
    let (came_in, interface) = unsafe { ((*skb).ingress_ifindex, (*skb).ifindex) };
    if Kernel::manages(came_in) {
        // Sent on by our own ingress, which has counted it.
        return NEXT;
    }
    let mut window = TcWindow::new(skb);
    let mut world = Kernel::new(skb.cast(), interface, true);
    match egress(&mut window, &mut world) {
        // The host's own traffic, which is not ours to count.
        Err(reason) if reason.fate() != Fate::Dropped => NEXT,
        verdict => tc_action(verdict, window.segments()),
    }
}

#[inline(always)]
fn tc_action(verdict: Result<Verdict<V4>, Reason>, packets: u32) -> i32 {
    match verdict {
        Ok(Verdict::Transmit(reason, hop)) => {
            count_reason(reason, packets);
            // SAFETY: takes two numbers.
            unsafe { bpf_redirect(hop.interface, 0) as i32 }
        }
        Ok(Verdict::Resolve(reason, interface, gateway)) => {
            count_reason(reason, packets);
            // SAFETY: plain integers, for which zero is a value.
            let mut next: bpf_redir_neigh = unsafe { core::mem::zeroed() };
            next.nh_family = 2;
            next.__bindgen_anon_1.ipv4_nh = u32::from_ne_bytes(gateway);
            let size = size_of::<bpf_redir_neigh>() as i32;
            // SAFETY: a structure of the size given.
            unsafe { bpf_redirect_neigh(interface, &raw mut next, size, 0) as i32 }
        }
        Ok(Verdict::Deliver(reason)) => {
            count_reason(reason, packets);
            NEXT
        }
        // TC is the last stop: the pipeline never leaves a packet unfinished where `resolves` holds.
        Ok(Verdict::Unfinished) => SHOT,
        Err(reason) => {
            count_reason(reason, packets);
            if let Fate::Dropped = reason.fate() {
                SHOT
            } else {
                NEXT
            }
        }
    }
}

/// The present tick: the daemon runs this to know how old a flow is.
#[xdp]
pub fn gwpool_clock(_context: XdpContext) -> u32 {
    match SETTINGS.get(0) {
        Some(settings) => tick(settings) as u32,
        None => 0,
    }
}
