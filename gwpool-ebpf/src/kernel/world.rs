//! The pipeline's `World` in the kernel: tables and helpers. Beside each access stands what happens when the table is
//! full, racing or empty.

use super::maps::*;
use super::window::came_in_by;
use super::{counts, desk, embryonic, established, routing};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::bpf_jiffies64;
use core::arch::asm;
use core::ffi::c_void;
use core::ptr::NonNull;
use gwpool_common::answers::Answers;
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits::Settings;
use gwpool_common::nat::Nat;
use gwpool_common::net::{Address, Network, NextHop, V4};
use gwpool_common::reason::Reason;
use gwpool_common::route::{Access, Backend, Listener, Listening, Load, Route, Source};
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::opening::Opening;
use gwpool_ebpf::packet::Packet;
use gwpool_ebpf::world::{Lookup, Refused, Side, Step, Task, Way, World};

/// What stands for settings that no daemon has written: the verifier does not know that the array has its entry.
static NONE: Settings = Settings::NONE;
/// The same of translation.
static NO_NAT: Nat<V4> = Nat::NONE;

/// The world around one packet.
pub struct Kernel {
    pub(super) context: *mut c_void,
    interface: u32,
    resolves: bool,
    settings: &'static Settings,
    pub(super) nat: &'static Nat<V4>,
    pub(super) now: u16,
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
            nat: if TRANSLATES.load() == 0 {
                &NO_NAT
            } else {
                NAT.get(0).unwrap_or(&NO_NAT)
            },
            now: tick(settings),
        }
    }
}

impl Kernel {
    /// What the program does with the packet; above its 32 bits, whether a mapping is to be kept first.
    #[inline(always)]
    pub fn ends(&self, action: u32) -> u64 {
        action as u64 | desk::left() << 32
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
        established::find(key, self.settings.port_seed)
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
        established::insert(key, flow, self.settings.port_seed)
    }

    #[inline(always)]
    fn retire(&mut self, key: &FlowKey<V4>) {
        // Not there: another CPU or the sweep was quicker.
        established::remove(key, self.settings.port_seed);
    }

    #[inline(always)]
    fn embryonic(&mut self, key: &FlowKey<V4>) -> Option<NonNull<Embryo<V4>>> {
        embryonic::find(key, self.settings.port_seed)
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
        embryonic::insert(key, embryo, self.settings.port_seed)
    }

    #[inline(always)]
    fn forget(&mut self, key: &FlowKey<V4>) {
        // Not there: evicted, or promoted by another CPU.
        embryonic::remove(key, self.settings.port_seed);
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
    fn flow_ports(&self, index: u32) -> u64 {
        // Beyond the array any port may be a flow's.
        FLOW_PORTS.get(index).copied().unwrap_or(u64::MAX)
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
        SHARES
            .get(counts::place(protocol))
            .copied()
            .unwrap_or_default()
    }

    /// A client that is not in the table, or no longer, holds nothing: the census enters those who hold much.
    #[inline(always)]
    fn source(&self, address: &V4) -> Source {
        // SAFETY: as in `embryo`.
        unsafe { SOURCES.get(address) }.copied().unwrap_or_default()
    }

    #[inline(always)]
    fn move_load(&mut self, backend: u32, by: Step) {
        counts::load(backend, by);
    }

    #[inline(always)]
    fn move_share(&mut self, protocol: u8, client: &V4, by: Step) {
        counts::share(protocol, client, by, self.now as u32);
    }

    #[inline(always)]
    fn exhaust(&mut self, backend: u32) {
        if let Some(load) = LOADS.get_ptr_mut(backend) {
            // SAFETY: as in `move_load`; one aligned word.
            unsafe { (*load).exhausted = 1 + self.now as u64 };
        }
    }

    #[inline(always)]
    fn sent_on(&self) -> bool {
        let by = came_in_by(self.context.cast());
        by != 0 && INTERFACES.get_ptr(by).is_some()
    }

    #[inline(always)]
    fn open(&mut self, opening: &Opening<V4>) -> Result<(), Reason> {
        desk::lay(opening)
    }

    #[inline(always)]
    fn repeat<T: Task<Self>>(&mut self, count: u32, task: &mut T) {
        desk::repeat(self.context, count, task);
    }

    #[inline(always)]
    fn lookup(&mut self, question: &Lookup<V4>) -> Result<Way<V4>, Reason> {
        routing::ask(self.context, question, self.interface)
    }

    #[inline(always)]
    fn next_hop(&self, index: u16) -> Option<NextHop> {
        NEXT_HOPS.get(index as u32).copied()
    }

    #[inline(always)]
    fn claim_next_hop(&mut self, index: u16, hop: &NextHop) -> bool {
        routing::claim(index, hop)
    }

    #[inline(always)]
    fn confirm_next_hop(&mut self, index: u16, epoch: u32) {
        if let Some(entry) = NEXT_HOPS.get_ptr_mut(index as u32) {
            // SAFETY: a live element of the array; one aligned word.
            unsafe { (*entry).epoch = epoch };
        }
    }

    #[inline(always)]
    fn limit(&mut self, mtu: u16) {
        desk::limit(mtu);
    }

    #[inline(always)]
    fn mtu(&self) -> u16 {
        desk::limited()
    }

    #[inline(always)]
    fn answers(&mut self) -> Option<&mut Answers> {
        let answers = ANSWERS.get_ptr_mut(0)?;
        // SAFETY: as in `count_reason`.
        Some(unsafe { &mut *answers })
    }

    #[inline(always)]
    fn count_connection(&mut self, backend: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(backend) {
            // SAFETY: this CPU's own slot.
            counts::count(unsafe { &mut (*counters).connections }, 1);
        }
    }

    #[inline(always)]
    fn count_redispatch(&mut self, backend: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(backend) {
            // SAFETY: this CPU's own slot.
            counts::count(unsafe { &mut (*counters).redispatches }, 1);
        }
    }

    #[inline(always)]
    fn count_carried(&mut self, backend: u32, from: Side, packets: u32, bytes: u32) {
        counts::carried(backend, from, packets, bytes);
    }
}
