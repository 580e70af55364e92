//! The pipeline's `World` in the kernel: tables and helpers. Beside each access stands what happens when the table is
//! full, racing or empty.

use super::maps::*;
use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST, bpf_fib_lookup as FibParameters};
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::{bpf_fib_lookup, bpf_jiffies64, bpf_loop};
use core::arch::asm;
use core::ffi::c_void;
use core::ptr::NonNull;
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits::Settings;
use gwpool_common::net::{Address, Interface, Network, NextHop, V4};
use gwpool_common::reason::Reason;
use gwpool_common::route::{Access, Backend, Counters, Listener, Listening, Load, Route, Source};
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::opening::{self, Opening};
use gwpool_ebpf::packet::Packet;
use gwpool_ebpf::parse::TCP;
use gwpool_ebpf::world::{Lookup, Refused, Side, Step, Task, Way, World};

/// Address family of IPv4 (linux/socket.h).
const AF_INET: u8 = 2;
/// The errno of a key that is taken, as the map helpers return it.
const EEXIST: i32 = -17;

/// What stands for settings that no daemon has written: the verifier does not know that the array has its entry.
static NONE: Settings = Settings::NONE;

/// The world around one packet.
pub struct Kernel {
    context: *mut c_void,
    interface: u32,
    resolves: bool,
    settings: &'static Settings,
    now: u16,
}

impl Kernel {
    /// `context`: the program's own. `resolves`: the program runs at TC.
    #[inline(always)]
    pub fn new(context: *mut c_void, interface: u32, resolves: bool) -> Self {
        // Not copied: the programs' stack is 512 bytes.
        let settings = SETTINGS.get(0).unwrap_or(&NONE);
        Kernel {
            context,
            interface,
            resolves,
            settings,
            now: tick(settings),
        }
    }

    /// A managed interface; 0 (the packet was made here) is none.
    #[inline(always)]
    pub fn manages(interface: u32) -> bool {
        interface != 0 && INTERFACES.get_ptr(interface).is_some()
    }
}

/// The clock: jiffies, because reading a real clock costs as much as all the rest of a hit.
#[inline(always)]
pub fn tick(settings: &Settings) -> u16 {
    if CLOCK_STOPPED.load() != 0 {
        return settings.tick_shift as u16;
    }
    // SAFETY: takes nothing, reads a counter.
    (unsafe { bpf_jiffies64() } >> (settings.tick_shift & 63)) as u16
}

/// Adds to a counter that only this CPU writes.
#[inline(always)]
fn count(counter: &mut u64, by: u64) {
    *counter = counter.wrapping_add(by);
}

/// One more packet that ended for this reason, or as many as it stands for. Each packet comes here once.
#[inline(always)]
pub fn count_reason(reason: Reason, packets: u32) {
    if let Some(counter) = REASONS.get_ptr_mut(reason as u32) {
        // SAFETY: this CPU's own slot; programs are not preempted by others that write it.
        count(unsafe { &mut *counter }, packets as u64);
    }
}

/// Inserts; the key must be new.
#[inline(always)]
fn refused(result: Result<(), i32>) -> Result<(), Refused> {
    result.map_err(|errno| {
        if errno == EEXIST {
            Refused::Taken
        } else {
            Refused::Full
        }
    })
}

impl World<Ipv4> for Kernel {
    type Established = NonNull<Flow<V4>>;
    type Embryonic = NonNull<Embryo<V4>>;

    #[inline(always)]
    fn now(&self) -> u16 {
        self.now
    }

    #[inline(always)]
    fn settings(&self) -> &Settings {
        self.settings
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        self.interface
    }

    #[inline(always)]
    fn resolves(&self) -> bool {
        self.resolves
    }

    #[inline(always)]
    fn established(&mut self, key: &FlowKey<V4>) -> Option<NonNull<Flow<V4>>> {
        ESTABLISHED.get_ptr_mut(key).and_then(NonNull::new)
    }

    #[inline(always)]
    fn flow(&self, at: NonNull<Flow<V4>>) -> Flow<V4> {
        // SAFETY: from a look-up in this program run; an element stays readable until it ends (RCU). One removed
        // meanwhile may already hold another flow: the daemon and `over` remove only what was idle for minutes.
        unsafe { *at.as_ptr() }
    }

    #[inline(always)]
    fn mark(&mut self, at: NonNull<Flow<V4>>, flow: &Flow<V4>) {
        // SAFETY: as in `flow`. Two CPUs may write at once: each field is whole, the later one stays.
        unsafe {
            (*at.as_ptr()).flags = flow.flags;
            (*at.as_ptr()).next_hop = flow.next_hop;
            (*at.as_ptr()).seen = flow.seen;
        }
    }

    #[inline(always)]
    fn establish(&mut self, key: &FlowKey<V4>, flow: &Flow<V4>) -> Result<(), Refused> {
        refused(ESTABLISHED.insert(key, flow, BPF_NOEXIST as u64))
    }

    #[inline(always)]
    fn retire(&mut self, key: &FlowKey<V4>) {
        // Not there: another CPU or the sweep was quicker.
        let _ = ESTABLISHED.remove(key);
    }

    #[inline(always)]
    fn embryonic(&mut self, key: &FlowKey<V4>) -> Option<NonNull<Embryo<V4>>> {
        EMBRYONIC.get_ptr_mut(key).and_then(NonNull::new)
    }

    #[inline(always)]
    fn embryo(&self, at: NonNull<Embryo<V4>>) -> Embryo<V4> {
        // SAFETY: as in `flow`. The tier may evict and reuse the element while we copy: promotion asks both halves to
        // name each other.
        unsafe { *at.as_ptr() }
    }

    #[inline(always)]
    fn mark_embryo(&mut self, at: NonNull<Embryo<V4>>, embryo: &Embryo<V4>) {
        // SAFETY: as in `mark`.
        unsafe {
            (*at.as_ptr()).flow.flags = embryo.flow.flags;
            (*at.as_ptr()).flow.next_hop = embryo.flow.next_hop;
            (*at.as_ptr()).flow.seen = embryo.flow.seen;
            (*at.as_ptr()).proof = embryo.proof;
        }
    }

    #[inline(always)]
    fn conceive(&mut self, key: &FlowKey<V4>, embryo: &Embryo<V4>) -> Result<(), Refused> {
        refused(EMBRYONIC.insert(key, embryo, BPF_NOEXIST as u64))
    }

    #[inline(always)]
    fn forget(&mut self, key: &FlowKey<V4>) {
        // Not there: evicted, or promoted by another CPU.
        let _ = EMBRYONIC.remove(key);
    }

    #[inline(always)]
    fn first(&self, packet: &Fragmented<V4>) -> Option<First> {
        // SAFETY: as in `embryo`; eight bytes, whole.
        unsafe { FRAGMENTS.get(packet) }.copied()
    }

    #[inline(always)]
    fn remember(&mut self, packet: &Fragmented<V4>, first: &First) {
        // No memory for it: the others are held, and given up.
        let _ = FRAGMENTS.insert(packet, first, BPF_ANY as u64);
    }

    #[inline(always)]
    fn hold<P: Packet>(&mut self, packet: &mut P) -> bool {
        // Full: no daemon, or more than it takes.
        let Some(mut entry) = HELD.reserve(0) else {
            return false;
        };
        let held = entry.as_mut_ptr();
        // SAFETY: reserved for this program, as large as `Held`; bytes take every pattern.
        let frame = unsafe {
            (*held).interface = self.interface;
            (*held).length = packet.length() as u16;
            (*held).seen = self.now;
            &mut (*held).frame
        };
        if packet.copy(frame) {
            entry.submit(0);
            true
        } else {
            entry.discard(0);
            false
        }
    }

    #[inline(always)]
    fn address(&self, address: &V4) -> Option<Address> {
        // SAFETY: as in `flow`; the daemon replaces whole elements.
        unsafe { ADDRESSES.get(address) }.copied()
    }

    #[inline(always)]
    fn network(&self, index: u32) -> Option<Network<V4>> {
        NETWORKS.get(index).copied()
    }

    #[inline(always)]
    fn listener(&self, listener: &Listener<V4>) -> Option<Listening> {
        // SAFETY: as in `address`.
        unsafe { LISTENERS.get(listener) }.copied()
    }

    #[inline(always)]
    fn route(&self, id: u32) -> Option<Route> {
        // SAFETY: as in `address`.
        unsafe { ROUTES.get(id) }.copied()
    }

    /// `fetch_add` by inline assembly: `AtomicU64` has none on this target, and LLVM 22 makes of the relaxed intrinsic
    /// an add that returns its own operand: it verifies, and every turn is the same.
    #[inline(always)]
    fn turn(&mut self, route: u32) -> u64 {
        let Some(turn) = TURNS.get_ptr_mut(route) else {
            return 0;
        };
        let mut taken = 1u64;
        // SAFETY: a live element of the array, 8-byte aligned; atomic with every other CPU.
        unsafe {
            asm!("{n} = atomic_fetch_add((u64 *)({p} + 0), {n})", p = in(reg) turn, n = inout(reg) taken);
        }
        taken
    }

    #[inline(always)]
    fn slot(&self, slot: u32) -> Option<u32> {
        SLOTS.get(slot).copied()
    }

    #[inline(always)]
    fn backend(&self, id: u32) -> Option<Backend<V4>> {
        BACKENDS.get(id).copied()
    }

    #[inline(always)]
    fn access(&self, client: &Access<V4>, otherwise: u32) -> u32 {
        let whole = 8 * size_of::<Access<V4>>() as u32;
        let word = match ACCESS.get(&Key::new(whole, *client)) {
            Some(word) => *word,
            None => otherwise,
        };
        // Seen through, LLVM joins both cases by an "or" of which one side was never written ("R1 !read_ok").
        core::hint::black_box(word)
    }

    #[inline(always)]
    fn load(&self, backend: u32) -> Load {
        LOADS.get(backend).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn share(&self, protocol: u8) -> Load {
        SHARES.get(share(protocol)).copied().unwrap_or_default()
    }

    /// A client that is not in the table, or no longer, counts as one who holds nothing: the census enters those who
    /// hold much.
    #[inline(always)]
    fn source(&self, address: &V4) -> Source {
        // SAFETY: as in `embryo`.
        unsafe { SOURCES.get(address) }.copied().unwrap_or_default()
    }

    #[inline(always)]
    fn move_load(&mut self, backend: u32, by: Step) {
        if let Some(load) = LOADS.get_ptr_mut(backend) {
            // SAFETY: a live element of the array; `moved` is its first field, 8-byte aligned.
            unsafe { add(load.cast(), by) };
        }
    }

    #[inline(always)]
    fn move_share(&mut self, protocol: u8, client: &V4, by: Step) {
        if let Some(load) = SHARES.get_ptr_mut(share(protocol)) {
            // SAFETY: as in `move_load`.
            unsafe { add(load.cast(), by) };
        }
        let now = self.now as u32;
        let Some(source) = SOURCES.get_ptr_mut(client) else {
            if by == Step::Up {
                let first = Source {
                    moved: 1,
                    base: 0,
                    tick: now,
                    fresh: 1,
                };
                // Taken by another CPU meanwhile: one flow goes uncounted until the census.
                let _ = SOURCES.insert(client, first, BPF_NOEXIST as u64);
            }
            return;
        };
        // SAFETY: a live element, aligned; the tier may reuse it meanwhile: the census puts the count right.
        unsafe {
            let by = if by == Step::Up { 1u32 } else { u32::MAX };
            asm!("lock *(u32 *)({p} + 0) += {n}", p = in(reg) source, n = in(reg) by);
            if by == 1 {
                // Two CPUs at once may count one too few: a rate, not a balance.
                let fresh = if (*source).tick == now {
                    (*source).fresh
                } else {
                    0
                };
                (*source).tick = now;
                (*source).fresh = fresh.wrapping_add(1);
            }
        }
    }

    #[inline(always)]
    fn exhaust(&mut self, backend: u32) {
        if let Some(load) = LOADS.get_ptr_mut(backend) {
            // SAFETY: as in `move_load`; one aligned word.
            unsafe { (*load).exhausted = 1 + self.now as u64 };
        }
    }

    #[inline(always)]
    fn open(&mut self, opening: &Opening<V4>) -> Result<(), Reason> {
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

    #[inline(always)]
    fn repeat<T: Task<Self>>(&mut self, count: u32, task: &mut T) {
        const { assert!(size_of::<T>() <= size_of::<[u64; 12]>() && align_of::<T>() <= 8) };
        let Some(desk) = DESK.get_ptr_mut(0) else {
            return;
        };
        // SAFETY: as in `open`; the task is moved to the desk and back, the callback has the helper's signature.
        unsafe {
            let place: *mut T = (&raw mut (*desk).task).cast();
            place.write(core::ptr::read(task));
            bpf_loop(count, turn::<T> as *mut c_void, core::ptr::null_mut(), 0);
            core::ptr::write(task, place.read());
        }
    }

    #[inline(always)]
    fn lookup(&mut self, question: &Lookup<V4>) -> Result<Way<V4>, Reason> {
        let Some(desk) = DESK.get_ptr_mut(0) else {
            return Err(Reason::NoRoute);
        };
        let size = size_of::<FibParameters>() as i32;
        // SAFETY: as in `open`; the program's own context, and a structure of the size given.
        unsafe {
            let fib: *mut FibParameters = (&raw mut (*desk).question).cast();
            ask(&mut *fib, question, self.interface);
            let answer = bpf_fib_lookup(self.context, fib, size, 0);
            answer_of(answer, &*fib)
        }
    }

    #[inline(always)]
    fn next_hop(&self, index: u16) -> Option<NextHop> {
        NEXT_HOPS.get(index as u32).copied()
    }

    #[inline(always)]
    fn claim_next_hop(&mut self, index: u16, hop: &NextHop) -> bool {
        let Some(entry) = NEXT_HOPS.get_ptr_mut(index as u32) else {
            return false;
        };
        let found: u64;
        // SAFETY: a live element of the array; `state` is its first field, 8-byte aligned.
        unsafe {
            asm!("r0 = cmpxchg_64({p} + 0, r0, {n})", p = in(reg) entry, n = in(reg) NextHop::CLAIMED,
                inout("r0") NextHop::FREE => found);
        }
        if found != NextHop::FREE {
            return false;
        }
        // SAFETY: as above; claimed, so nobody else writes it, and nobody uses it before it is valid.
        unsafe {
            (*entry).epoch = hop.epoch;
            (*entry).interface = hop.interface;
            (*entry).destination = hop.destination;
            (*entry).source = hop.source;
            (*entry).mtu = hop.mtu;
            (*entry).flags = hop.flags;
            core::ptr::write_volatile(&raw mut (*entry).state, NextHop::VALID);
        }
        true
    }

    #[inline(always)]
    fn confirm_next_hop(&mut self, index: u16, epoch: u32) {
        if let Some(entry) = NEXT_HOPS.get_ptr_mut(index as u32) {
            // SAFETY: a live element of the array; one aligned word.
            unsafe { (*entry).epoch = epoch };
        }
    }

    #[inline(always)]
    fn count_connection(&mut self, backend: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(backend) {
            // SAFETY: as in `count_reason`.
            count(unsafe { &mut (*counters).connections }, 1);
        }
    }

    #[inline(always)]
    fn count_redispatch(&mut self, backend: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(backend) {
            // SAFETY: as in `count_reason`.
            count(unsafe { &mut (*counters).redispatches }, 1);
        }
    }

    #[inline(always)]
    fn count_carried(&mut self, backend: u32, from: Side, packets: u32, bytes: u32) {
        let Some(counters) = COUNTERS.get_ptr_mut(backend) else {
            return;
        };
        // SAFETY: as in `count_reason`.
        let counters: &mut Counters = unsafe { &mut *counters };
        match from {
            Side::Client => {
                count(&mut counters.to_backend_packets, packets as u64);
                count(&mut counters.to_backend_bytes, bytes as u64);
            }
            Side::Backend => {
                count(&mut counters.to_client_packets, packets as u64);
                count(&mut counters.to_client_bytes, bytes as u64);
            }
        }
    }
}

/// A new walk begins: nothing is opened yet.
#[inline(always)]
pub fn begin() {
    if let Some(desk) = DESK.get_ptr_mut(0) {
        // SAFETY: as in `open`.
        unsafe { (*desk).opened = Desk::NOT_YET };
    }
}

/// Opens the flow that lies on the desk. A global function (symbol and arguments are plain C): the verifier walks it
/// once, whatever its callers know.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn gwpool_open() -> u32 {
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: as in `open`.
    unsafe {
        let opening: *mut Opening<V4> = (&raw mut (*desk).opening).cast();
        let mut world = Kernel::new(core::ptr::null_mut(), (*opening).interface, false);
        (*desk).opened = match opening::open::<Ipv4, Kernel>(&mut world, &*opening) {
            Ok(()) => Desk::STORED,
            Err(reason) => (Desk::REFUSED + reason as u32) as u64,
        };
    }
    1
}

/// The callback of `bpf_loop`: 0 goes on, 1 ends. Its task lies on the desk, its world is made anew: so its caller need
/// not keep either on the stack.
unsafe extern "C" fn turn<T: Task<Kernel>>(index: u64, _: *mut c_void) -> i64 {
    let Some(desk) = DESK.get_ptr_mut(0) else {
        return 1;
    };
    let mut world = Kernel::new(core::ptr::null_mut(), 0, false);
    // SAFETY: `repeat` has put the task there and waits for us.
    let task: &mut T = unsafe { &mut *(&raw mut (*desk).task).cast() };
    // LLVM knows that a bool is 0 or 1, the verifier does not ("At callback return the register R0 ... should have been
    // in [0, 1]") and must see the mask.
    task.turn(&mut world, index as u32) as i64 & core::hint::black_box(1)
}

const _: () = assert!(size_of::<Opening<V4>>() == size_of::<[u64; 4]>());
const _: () = assert!(size_of::<FibParameters>() == size_of::<[u64; 8]>());

/// Where the protocol stands in `SHARES`.
#[inline(always)]
fn share(protocol: u8) -> u32 {
    (protocol != TCP) as u32
}

/// Adds or takes one, whatever other CPUs do.
///
/// # Safety
/// A live, aligned word of a map.
#[inline(always)]
unsafe fn add(word: *mut u64, by: Step) {
    let by = if by == Step::Up { 1u64 } else { u64::MAX };
    // SAFETY: the caller's word.
    unsafe { asm!("lock *(u64 *)({p} + 0) += {n}", p = in(reg) word, n = in(reg) by) };
}

/// The question in the helper's words.
#[inline(always)]
fn ask(fib: &mut FibParameters, question: &Lookup<V4>, interface: u32) {
    fib.family = AF_INET;
    fib.l4_protocol = question.protocol;
    fib.sport = u16::from_ne_bytes(question.source_port);
    fib.dport = u16::from_ne_bytes(question.destination_port);
    fib.__bindgen_anon_1.tot_len = question.length;
    fib.__bindgen_anon_2.flowinfo = 0;
    fib.__bindgen_anon_2.tos = question.tos;
    fib.__bindgen_anon_3.ipv4_src = u32::from_ne_bytes(question.source);
    fib.__bindgen_anon_4.ipv4_dst = u32::from_ne_bytes(question.destination);
    fib.ifindex = interface;
}

/// The helper's answer in ours (net/core/filter.c, `bpf_ipv4_fib_lookup`).
#[inline(always)]
fn answer_of(answer: i64, fib: &FibParameters) -> Result<Way<V4>, Reason> {
    use aya_ebpf::bindings::*;
    match answer as u32 {
        BPF_FIB_LKUP_RET_SUCCESS => {
            // SAFETY: on success the helper has written the interface the frame leaves by.
            let out = unsafe { INTERFACES.get(fib.ifindex) }
                .copied()
                .unwrap_or_default();
            Ok(Way::Known(NextHop {
                state: NextHop::VALID,
                epoch: 0,
                interface: fib.ifindex,
                destination: fib.dmac,
                source: fib.smac,
                // SAFETY: the length was given, so the helper has put the MTU in its place.
                mtu: unsafe { fib.__bindgen_anon_1.mtu_result },
                flags: if out.flags & Interface::XDP == 0 {
                    NextHop::TC_ONLY
                } else {
                    0
                },
            }))
        }
        BPF_FIB_LKUP_RET_NO_NEIGH => Ok(Way::Unresolved {
            interface: fib.ifindex,
            // SAFETY: the helper has put the next hop in place of the destination.
            gateway: unsafe { fib.__bindgen_anon_4.ipv4_dst }.to_ne_bytes(),
        }),
        BPF_FIB_LKUP_RET_FRAG_NEEDED => Err(Reason::TooBig),
        BPF_FIB_LKUP_RET_FWD_DISABLED => Err(Reason::ForwardingDisabled),
        _ => Err(Reason::NoRoute),
    }
}
