//! This CPU's desk: what a packet's walk puts down while something else is called, so that it stands on nobody's stack.
//!
//! A flow that is opened between two walks, what `bpf_loop` does in turns, the question to the kernel's routing
//! ([`super::routing`]), and what a packet's sender is told.

use super::maps::{DESK, Desk};
use super::world::Kernel;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::helpers::{bpf_csum_diff, bpf_loop};
use core::ffi::c_void;
use gwpool_common::limits;
use gwpool_common::net::V4;
use gwpool_common::reason::Reason;
use gwpool_ebpf::answer::Word;
use gwpool_ebpf::checksum;
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::mapping::{self, Kept};
use gwpool_ebpf::opening::{self, Opening};
use gwpool_ebpf::world::Task;

const _: () = assert!(size_of::<Opening<V4>>() == size_of::<[u64; 5]>());

/// The walk after an opening has ended: nothing is opened for the next packet. So a hit need not say it.
#[inline(always)]
pub fn clear() {
    if let Some(desk) = DESK.get_ptr_mut(0) {
        // SAFETY: as in `lay`.
        unsafe { (*desk).opened = Desk::NOT_YET };
    }
}

/// Puts down the flow that is to be opened; the second time, says why it is not there.
#[inline(always)]
pub fn lay(opening: &Opening<V4>) -> Result<(), Reason> {
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return Err(Reason::NotOurs);
    };
    // SAFETY: this CPU's own element, large enough (see below) and aligned; nobody else runs here until we end.
    unsafe {
        match (*desk).opened {
            Desk::NOT_YET => {
                let place: *mut Opening<V4> = (&raw mut (*desk).opening).cast();
                place.write(*opening);
                Ok(())
            }
            // Stored, but not found again: another CPU had the table give it up.
            Desk::STORED => Err(Reason::Overtaken),
            number => {
                Err(Reason::numbered(number as u32 - Desk::REFUSED).unwrap_or(Reason::NotOurs))
            }
        }
    }
}

/// Puts down the flow whose mapping is to be kept.
#[inline(always)]
pub fn leave(kept: &Kept<V4>) {
    if let Some(desk) = DESK.get_ptr_mut(0) {
        // SAFETY: as in `lay`.
        unsafe {
            (*desk).kept = *kept;
            (*desk).keeps = 1;
        }
    }
}

/// Whether one lies there. Not a field of `Kernel`: the verifier would walk the rest of the way twice.
#[inline(always)]
pub fn left() -> u64 {
    // SAFETY: as in `lay`.
    DESK.get_ptr(0).map_or(0, |desk| unsafe { (*desk).keeps })
}

/// Keeps the mapping of the flow that lies on the desk, if the walk has left one there; what the program does then. The
/// function is global, as the opening of a flow.
#[inline(always)]
pub fn kept(ended: u64) -> u32 {
    if ended >> 32 != 0 {
        gwpool_keep();
    }
    ended as u32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_keep() -> u32 {
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return 0;
    };
    let mut world = Kernel::new(core::ptr::null_mut(), 0, false);
    // SAFETY: as in `lay`.
    unsafe {
        (*desk).keeps = 0;
        mapping::keep::<Ipv4, Kernel>(&mut world, &(*desk).kept);
    }
    1
}

/// The one's complement sum of `length` bytes, which `load` puts on the desk; at most as many as there is room for.
#[inline(always)]
pub fn sum(length: u32, load: impl Fn(*mut c_void, u32) -> bool) -> Option<u16> {
    let desk = DESK.get_ptr_mut(0)?;
    // SAFETY: as in `lay`.
    let words = unsafe { &mut (*desk).words };
    let last = (length as usize - 1) / 8;
    // Behind the end there are zeros, which add nothing.
    *words.get_mut(last)? = 0;
    if !load(words.as_mut_ptr().cast(), length) {
        return None;
    }
    // The kernel adds: a loop over so many words the verifier would walk word by word.
    let padded = (last as u32 + 1) * 8;
    let mut sum = 0;
    let mut block = 0;
    while block < BLOCKS {
        let begun = block * BLOCK;
        if padded <= begun {
            break;
        }
        let rest = core::hint::black_box(padded - begun);
        let size = if rest > BLOCK { BLOCK } else { rest };
        let from = words.as_mut_ptr().wrapping_add(begun as usize / 8);
        // SAFETY: `size` bytes of the desk, of which there are so many.
        let added = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, from.cast(), size, sum) };
        sum = added as u32;
        block += 1;
    }
    Some(checksum::fold(sum))
}

/// Bytes that the kernel sums in one call (net/core/filter.c, `bpf_csum_diff`), and how often.
const BLOCK: u32 = 512;
const BLOCKS: u32 = 4;
const _: () = assert!(limits::HELD_FRAME_BYTES <= (BLOCK * BLOCKS) as usize);

/// Puts down what the packet's sender is told.
#[inline(always)]
pub fn say(word: Word) {
    if let Some(desk) = DESK.get_ptr_mut(0) {
        // SAFETY: as in `lay`.
        unsafe { (*desk).word = word };
    }
}

/// What was put down.
#[inline(always)]
pub fn said() -> Word {
    // SAFETY: as in `lay`; every pattern is one.
    DESK.get_ptr(0)
        .map_or(Word::default(), |desk| unsafe { (*desk).word })
}

/// Puts down the most that a packet's next hop takes.
#[inline(always)]
pub fn limit(mtu: u16) {
    if let Some(desk) = DESK.get_ptr_mut(0) {
        // SAFETY: as in `lay`.
        unsafe { (*desk).mtu = mtu };
    }
}

/// What was put down.
#[inline(always)]
pub fn limited() -> u16 {
    // SAFETY: as in `lay`.
    DESK.get_ptr(0).map_or(0, |desk| unsafe { (*desk).mtu })
}

/// Opens the flow that lies on the desk. A global function (symbol and arguments are plain C): the verifier walks it
/// once, whatever its callers know.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gwpool_xdp_open(context: *mut xdp_md) -> u32 {
    open(context.cast(), false)
}

/// The same at TC.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gwpool_tc_open(context: *mut __sk_buff) -> u32 {
    open(context.cast(), true)
}

#[inline(always)]
fn open(context: *mut c_void, resolves: bool) -> u32 {
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: as in `lay`.
    unsafe {
        let opening: *mut Opening<V4> = (&raw mut (*desk).opening).cast();
        let mut world = Kernel::new(context, (*opening).interface, resolves);
        (*desk).opened = match opening::open::<Ipv4, Kernel>(&mut world, &*opening) {
            Ok(()) => Desk::STORED,
            Err(reason) => (Desk::REFUSED + reason as u32) as u64,
        };
    }
    1
}

/// `World::repeat`: the task is moved to the desk and back.
#[inline(always)]
pub fn repeat<T: Task<Kernel>>(context: *mut c_void, count: u32, task: &mut T) {
    const { assert!(size_of::<T>() <= size_of::<[u64; 12]>() && align_of::<T>() <= 8) };
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: as in `lay`; the task is moved to the desk and back, the callback has the helper's signature.
    unsafe {
        let place: *mut T = (&raw mut (*desk).task).cast();
        place.write(core::ptr::read(task));
        // By the stack: the verifier lets no pointer to a context lie in a map.
        let mut context = context;
        bpf_loop(
            count,
            turn::<T> as *mut c_void,
            (&raw mut context).cast(),
            0,
        );
        core::ptr::write(task, place.read());
    }
}

/// The callback of `bpf_loop`: 0 goes on, 1 ends. Its task lies on the desk, its world is made anew: so its caller need
/// not keep either on the stack.
unsafe extern "C" fn turn<T: Task<Kernel>>(index: u64, context: *mut *mut c_void) -> i64 {
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return 1;
    };
    // SAFETY: `repeat` has put it there.
    let mut world = Kernel::new(unsafe { *context }, 0, false);
    // SAFETY: `repeat` has put the task there and waits for us.
    let task: &mut T = unsafe { &mut *(&raw mut (*desk).task).cast() };
    // LLVM knows that a bool is 0 or 1, the verifier does not ("At callback return the register R0 ... should have been
    // in [0, 1]") and must see the mask.
    task.turn(&mut world, index as u32) as i64 & core::hint::black_box(1)
}
