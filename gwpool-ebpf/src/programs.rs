//! From verdict to action. Every packet that a program answers for is counted here, once, and nowhere else.
//!
//! XDP marks what it leaves unfinished; TC beside it takes up only those.

use crate::kernel::bound;
use crate::kernel::counts::count_reason;
use crate::kernel::desk::{self, gwpool_tc_open, gwpool_xdp_open};
use crate::kernel::exit;
use crate::kernel::maps::SETTINGS;
use crate::kernel::window::{TcWindow, XdpWindow, take_mark, unfinished};
use crate::kernel::world::{Kernel, tick};
use aya_ebpf::bindings::{__sk_buff, xdp_action, xdp_md};
use aya_ebpf::macros::{cgroup_sock, classifier, xdp};
use aya_ebpf::programs::{SockContext, TcContext, XdpContext};
use gwpool_common::net::{NextHop, V4};
use gwpool_common::reason::{Fate, Reason};
use gwpool_ebpf::answer;
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::packet::Packet;
use gwpool_ebpf::{Verdict, egress, ingress};

/// TC: the packet goes on, to the next program or to the stack (linux/bpf.h, TCX_NEXT; linux/pkt_cls.h, TC_ACT_UNSPEC).
const NEXT: i32 = -1;
/// TC: the packet ends here (TC_ACT_SHOT).
const SHOT: i32 = 2;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

/// What a walk returns that needs a flow opened first; no action of XDP or TC.
const OPENS: u32 = 0x6f70_656e;
/// What a walk at TC returns whose packet is to be answered.
const ANSWERS: u32 = 0x616e_7377;

/// Ingress at XDP.
#[xdp(frags)]
pub fn gwpool_xdp(context: XdpContext) -> u32 {
    let action = desk::kept(gwpool_xdp_walk(context.ctx));
    if action != OPENS {
        return action;
    }
    gwpool_xdp_open(context.ctx);
    let action = desk::kept(gwpool_xdp_walk(context.ctx));
    desk::clear();
    action
}

/// A packet's walk at XDP. A global function, as [`gwpool_xdp_open`]: so neither's frame stands on the other's.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gwpool_xdp_walk(context: *mut xdp_md) -> u64 {
    let context = XdpContext::new(context);
    let mut window = XdpWindow::new(&context);
    let interface = window.interface();
    let mut world = Kernel::new(window.context(), interface, false);
    let action = match ingress(&mut window, &mut world) {
        Ok(Verdict::Transmit(reason, hop)) => {
            count_reason(reason, 1);
            if hop.interface == interface && hop.flags & NextHop::SLEEPS == 0 {
                xdp_action::XDP_TX
            } else {
                exit::by(hop.interface) as u32
            }
        }
        Ok(Verdict::Deliver(reason)) => {
            count_reason(reason, 1);
            xdp_action::XDP_PASS
        }
        Ok(Verdict::Opens) => OPENS,
        // `Resolve` and `Answer` are TC's: the pipeline gives them only where `resolves` says so.
        Ok(Verdict::Unfinished | Verdict::Resolve(..) | Verdict::Answer(..)) => {
            if window.leave_unfinished() {
                xdp_action::XDP_PASS
            } else {
                count_reason(Reason::NoMetadata, 1);
                xdp_action::XDP_DROP
            }
        }
        Err(reason) => {
            count_reason(reason, 1);
            if let Fate::Dropped = reason.fate() {
                xdp_action::XDP_DROP
            } else {
                xdp_action::XDP_PASS
            }
        }
    };
    world.ends(action)
}

/// Ingress at TC beside XDP.
#[classifier]
pub fn gwpool_finish(context: TcContext) -> i32 {
    if unfinished(&context) || take_mark(&context) {
        tc_ingress(&context)
    } else {
        NEXT
    }
}

/// Ingress at TC without XDP.
#[classifier]
pub fn gwpool_ingress(context: TcContext) -> i32 {
    tc_ingress(&context)
}

#[inline(always)]
fn tc_ingress(context: &TcContext) -> i32 {
    let skb = context.skb.skb;
    let mut action = desk::kept(gwpool_tc_walk(skb));
    if action == OPENS {
        gwpool_tc_open(skb);
        action = desk::kept(gwpool_tc_walk(skb));
        desk::clear();
    }
    if action == ANSWERS {
        action = gwpool_answer(skb);
    }
    action as i32
}

/// A packet's walk at TC.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gwpool_tc_walk(skb: *mut __sk_buff) -> u64 {
    let mut window = TcWindow::new(skb);
    let mut world = Kernel::new(window.context(), window.interface(), true);
    let verdict = ingress(&mut window, &mut world);
    let packets = window.segments();
    let action = match verdict {
        Ok(Verdict::Opens) => OPENS,
        Ok(Verdict::Answer(reason, word)) => {
            count_reason(reason, packets);
            desk::say(word);
            ANSWERS
        }
        verdict => tc_action(verdict, packets) as u32,
    };
    world.ends(action)
}

/// The answer to a packet that a walk at TC has left as it came; where there is none it ends in silence.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gwpool_answer(skb: *mut __sk_buff) -> u32 {
    let mut window = TcWindow::new(skb);
    let interface = window.interface();
    let mut world = Kernel::new(window.context(), interface, true);
    match answer::make::<Ipv4, _, _>(&mut window, &mut world, desk::said()) {
        Ok(()) => exit::by(interface) as u32,
        Err(_) => SHOT as u32,
    }
}

/// Egress at TC.
#[classifier]
pub fn gwpool_egress(context: TcContext) -> i32 {
    let skb = context.skb.skb;
    let mut action = desk::kept(gwpool_egress_walk(skb));
    if action == OPENS {
        gwpool_tc_open(skb);
        action = desk::kept(gwpool_egress_walk(skb));
        desk::clear();
    }
    action as i32
}

/// A packet's walk at egress.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gwpool_egress_walk(skb: *mut __sk_buff) -> u64 {
    let mut window = TcWindow::new(skb);
    let mut world = Kernel::new(window.context(), window.interface(), true);
    let action = match egress(&mut window, &mut world) {
        Ok(Verdict::Opens) => OPENS,
        // The host's own traffic, which is not ours to count.
        Err(reason) if reason.fate() != Fate::Dropped => NEXT as u32,
        verdict => tc_action(verdict, window.segments()) as u32,
    };
    world.ends(action)
}

#[inline(always)]
fn tc_action(verdict: Result<Verdict<V4>, Reason>, packets: u32) -> i32 {
    match verdict {
        Ok(Verdict::Transmit(reason, hop)) => {
            count_reason(reason, packets);
            exit::by(hop.interface) as i32
        }
        Ok(Verdict::Resolve(reason, interface, gateway)) => {
            count_reason(reason, packets);
            exit::towards(gateway, interface) as i32
        }
        Ok(Verdict::Deliver(reason)) => {
            count_reason(reason, packets);
            NEXT
        }
        // TC is the last stop: the pipeline never leaves a packet unfinished where `resolves` holds.
        Ok(Verdict::Unfinished | Verdict::Opens | Verdict::Answer(..)) => SHOT,
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

/// What both programs about sockets return: the kernel goes on with it.
const ALLOWED: i32 = 1;

/// bind(2) has given a socket its port.
#[cgroup_sock(post_bind4)]
pub fn gwpool_bound(context: SockContext) -> i32 {
    bound::enter(context.sock);
    ALLOWED
}

/// A socket is closed.
#[cgroup_sock(sock_release)]
pub fn gwpool_closed(context: SockContext) -> i32 {
    bound::leave(context.sock);
    ALLOWED
}

/// The present tick: the daemon runs this to know how old a flow is.
#[xdp]
pub fn gwpool_clock(_context: XdpContext) -> u32 {
    match SETTINGS.get(0) {
        Some(settings) => tick(settings) as u32,
        None => 0,
    }
}

/// The daemon runs this on a frame it has held, to let it come in again.
#[classifier]
pub fn gwpool_reinject(context: TcContext) -> i32 {
    exit::again(&context) as i32
}
