//! The established tier: nothing gives way. What finds its set full goes to one of the following.

use super::maps::{ENTRIES, ESTABLISHED, ESTABLISHED_ENTRIES, ESTABLISHED_SETS, FLOW_TAGS};
use super::sets::{
    self, BUSY, FULL, STORED, Sets, TAKEN, away, exchange, home, if_keyed, label, lock, look,
    moves, opaque, publish, stored, tagged, unlock, write,
};
use core::arch::asm;
use core::ptr::NonNull;
use gwpool_common::flow::{Embryo, Flow, FlowKey, FlowSet, Way};
use gwpool_common::net::V4;
use gwpool_ebpf::tier::{FOLLOWING, gone, place, words};
use gwpool_ebpf::world::Refused;

/// The tier.
struct Tier;

impl Sets for Tier {
    #[inline(always)]
    fn count() -> u32 {
        ESTABLISHED_SETS.load()
    }

    #[inline(always)]
    fn set(index: u32) -> Option<*mut FlowSet> {
        FLOW_TAGS.get_ptr_mut(index)
    }

    #[inline(always)]
    fn way(index: u32) -> Option<*mut Way<V4>> {
        ESTABLISHED.get_ptr_mut(index)
    }
}

/// What [`count`] and [`moves`] take for one less.
const LESS: u64 = u64::MAX;

/// What [`gwpool_flow_fill`] takes for a way if the key has one.
const HERE: u64 = u64::MAX;

/// Counts so many entries more; how many there were.
#[inline(always)]
fn count(by: u64) -> u64 {
    let Some(entries) = ENTRIES.get_ptr_mut(0) else {
        return u64::MAX;
    };
    let mut there = by;
    // SAFETY: a live element of the array, 8-byte aligned; atomic with every other CPU.
    unsafe {
        asm!("{n} = atomic_fetch_add((u64 *)({p} + 0), {n})", p = in(reg) entries, n = inout(reg) there);
    }
    there
}

/// The flow with this key.
#[inline(always)]
pub fn find(key: &FlowKey<V4>, seed: u32) -> Option<NonNull<Flow<V4>>> {
    let [one, other] = words(key);
    let embryo = Tier::at(gwpool_flow_find(one, other, seed))?;
    // SAFETY: inside a live element of the array.
    NonNull::new(unsafe { &raw mut (*embryo.as_ptr()).flow })
}

/// Puts a flow in.
///
/// # Errors
/// [`Refused::Taken`]: the key is there. [`Refused::Full`]: there are as many as there may be, or no set that it may lie in
/// has room. [`Refused::Busy`]: other CPUs did not let go of its own, or were quicker to its way.
#[inline(always)]
pub fn insert(key: &FlowKey<V4>, flow: &Flow<V4>, seed: u32) -> Result<(), Refused> {
    stored(gwpool_flow_insert(key, flow, seed))
}

/// Takes the flow with this key out.
#[inline(always)]
pub fn remove(key: &FlowKey<V4>, seed: u32) {
    let [one, other] = words(key);
    gwpool_flow_remove(one, other, seed);
}

// Global functions, as the embryonic tier's. Their frames share 512 bytes with those of who calls them: what is cheap is
// asked for again.

/// The way of the flow with this key, counted from 1; 0: there is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_find(one: u64, other: u64, seed: u32) -> u64 {
    let home = home::<Tier>([one, other], seed);
    let Some(set) = Tier::set(home as u32) else {
        return 0;
    };
    let found = tagged(set, home);
    if found == 0 && away(set) == 0 {
        return 0;
    }
    match if_keyed::<Tier>(found, [one, other]) {
        0 => gwpool_flow_far(one, other, seed),
        found => found,
    }
}

/// The same in the sets that follow the key's own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_far(one: u64, other: u64, seed: u32) -> u64 {
    let mut home = home::<Tier>([one, other], seed);
    let mut left = Tier::set(home as u32).map_or(0, away);
    while left != 0 {
        // Opaque: what follows from the tag alone, LLVM would make once and keep on the stack.
        home = opaque(home >> 32 << 32 | next(home as u32) as u64);
        let Some(set) = Tier::set(home as u32) else {
            return 0;
        };
        let keyed = if_keyed::<Tier>(tagged(set, home), [one, other]);
        if keyed != 0 {
            return keyed;
        }
        left -= 1;
    }
    0
}

/// The set after this one, as `following`, by arithmetic: of a branch the verifier would keep the first set, and the second,
/// and so on, besides the one it does not know.
#[inline(always)]
fn next(index: u32) -> u32 {
    let next = index as u64 + 1;
    let inside = opaque((next.wrapping_sub(Tier::count() as u64) as i64 >> 63) as u64);
    (next & inside) as u32
}

/// See [`insert`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_insert(key: *const FlowKey<V4>, flow: *const Flow<V4>, seed: u32) -> u32 {
    // SAFETY: the caller's, where it is not null, which the verifier wants to see.
    let Some([one, other]) = (unsafe { key.as_ref() }).map(words) else {
        return BUSY;
    };
    if gwpool_flow_lock(one, other, seed) == 0 {
        return BUSY;
    }
    let way = match gwpool_flow_find(one, other, seed) {
        0 => gwpool_flow_free(one, other, seed),
        _ => HERE,
    };
    gwpool_flow_fill(key, flow, seed, way)
}

/// Locks the key's set: who puts the same key in waits here. 0: other CPUs did not let go of it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_lock(one: u64, other: u64, seed: u32) -> u32 {
    let (index, _) = place([one, other], seed, Tier::count());
    Tier::set(index).and_then(lock).is_some() as u32
}

/// The first free way from the key's set on; 0: there is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_free(one: u64, other: u64, seed: u32) -> u64 {
    let (mut index, _) = place([one, other], seed, Tier::count());
    let mut step = 0;
    while step <= FOLLOWING {
        let Some(set) = Tier::set(index) else {
            return 0;
        };
        let number = look(set, 0);
        if number != 0 {
            return sets::way(index, number);
        }
        index = next(index);
        step += 1;
    }
    0
}

/// Writes the flow into this way, and unlocks its set; 0: there is none, [`HERE`]: the key has one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_fill(
    key: *const FlowKey<V4>,
    flow: *const Flow<V4>,
    seed: u32,
    free: u64,
) -> u32 {
    // SAFETY: as above.
    let (Some(key), Some(flow)) = (unsafe { (key.as_ref(), flow.as_ref()) }) else {
        return BUSY;
    };
    let (home, tag) = place(words(key), seed, Tier::count());
    let Some(own) = Tier::set(home) else {
        return BUSY;
    };
    let stored = match free {
        0 => FULL,
        HERE => TAKEN,
        _ if count(1) >= ESTABLISHED_ENTRIES.load() as u64 => FULL,
        _ => fill(own, home, free, tag, (key, flow)),
    };
    if free != 0 && (stored == FULL || stored == BUSY) {
        count(LESS);
    }
    unlock(own, 0);
    stored
}

/// The way of another set may be wanted by who has the lock there: whoever claims it first has it.
#[inline(always)]
fn fill(
    own: *mut FlowSet,
    home: u32,
    free: u64,
    tag: u32,
    (key, flow): (&FlowKey<V4>, &Flow<V4>),
) -> u32 {
    let (index, number) = sets::split(free);
    let (Some(set), Some(way)) = (Tier::set(index), Tier::way(free as u32 - 1)) else {
        return BUSY;
    };
    let Some(label) = label(set, number) else {
        return BUSY;
    };
    if !exchange(label, 0, FlowSet::CLAIMED) {
        return BUSY;
    }
    let embryo = Embryo {
        flow: *flow,
        proof: 0,
        since: 0,
        failed: 0,
        pad: 0,
    };
    write(way, key, &embryo);
    let steps = steps(home, index);
    if steps != 0 {
        // Before the tag: who finds no trace of it in its own set looks no further.
        // SAFETY: inside a live element of the array.
        moves(own, unsafe {
            gone((&raw const (*own).away).read_volatile(), steps)
        });
    }
    publish(label, tag);
    STORED
}

/// How many sets on from its own this one is.
#[inline(always)]
fn steps(home: u32, index: u32) -> u32 {
    let steps = index.wrapping_sub(home);
    if index < home {
        steps.wrapping_add(Tier::count())
    } else {
        steps
    }
}

/// See [`remove`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_remove(one: u64, other: u64, seed: u32) -> u32 {
    match gwpool_flow_find(one, other, seed) {
        0 => 0,
        found => gwpool_flow_take(one, other, seed, found),
    }
}

/// Takes the key out of this way.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gwpool_flow_take(one: u64, other: u64, seed: u32, found: u64) -> u32 {
    let (home, tag) = place([one, other], seed, Tier::count());
    let (index, number) = sets::split(found);
    let label = Tier::set(index).and_then(|set| label(set, number));
    // Only if it is still this key's: another CPU may have put another there.
    if label.is_some_and(|label| exchange(label, tag, 0)) {
        count(LESS);
        if index != home
            && let Some(own) = Tier::set(home)
        {
            moves(own, LESS as u32);
        }
    }
    0
}
