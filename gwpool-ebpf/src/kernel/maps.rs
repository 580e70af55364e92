//! Every table, one line of what it is each. Keys and values are the contract's (`gwpool-common`); the daemon sets the
//! sizes that `gwpool.limits` names when it loads them, what stands here is the default.

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use gwpool_common::answers::Answers;
use gwpool_common::flow::{FlowSet, Way};
use gwpool_common::fragment::{First, Fragmented, Held};
use gwpool_common::limits::{self, Settings};
use gwpool_common::nat::{End, Mapped, Mapping, Nat, Permission};
use gwpool_common::net::{Address, Interface, Network, NextHop, V4};
use gwpool_common::reason::Reason;
use gwpool_common::route::{
    Access, Backend, Counters, Listener, Listening, Load, ROUTE_NAME_BYTES, Route, Source,
};
use gwpool_ebpf::answer::Word;
use gwpool_ebpf::mapping::Kept;
use gwpool_ebpf::tier;

/// A route's cursor, alone on its cache line.
#[repr(C, align(8))]
pub struct Turn {
    /// The next turn.
    pub cursor: u64,
    pad: [u64; 7],
}

/// Not 0 (tests): the tick is what `Settings::tick_shift` says, instead of how far to shift the kernel's clock.
/// Frozen when loaded, so the verifier drops the branch that is not taken.
#[unsafe(no_mangle)]
pub static CLOCK_STOPPED: Global<u32> = Global::new(0);

/// Not 0: this host translates for inside hosts. Where it does not the verifier drops all of that.
#[unsafe(no_mangle)]
pub static TRANSLATES: Global<u32> = Global::new(0);

/// How many sets the established tier has.
#[unsafe(no_mangle)]
pub static ESTABLISHED_SETS: Global<u32> = Global::new(tier::keeping(2 * limits::FLOWS));

/// How many entries the established tier takes.
#[unsafe(no_mangle)]
pub static ESTABLISHED_ENTRIES: Global<u32> = Global::new(2 * limits::FLOWS);

/// How many sets the embryonic tier has.
#[unsafe(no_mangle)]
pub static EMBRYONIC_SETS: Global<u32> = Global::new(tier::evicting(2 * limits::EMBRYONIC));

/// The cookie of this instance's network namespace.
#[unsafe(no_mangle)]
pub static NETWORK_NAMESPACE: Global<u64> = Global::new(0);

/// What a packet's walk puts down for the length of a call: the frames of a program and all it calls share 512 bytes of
/// stack.
#[repr(C, align(8))]
pub struct Desk {
    /// [`Desk::NOT_YET`], [`Desk::STORED`], or [`Desk::REFUSED`] and the reason's number.
    pub opened: u64,
    /// The flow that is being opened.
    pub opening: [u64; 5],
    /// What `bpf_loop` does in turns.
    pub task: [u64; 12],
    /// The question to the kernel's routing.
    pub question: [u64; 8],
    /// Bytes of a packet that are summed.
    pub words: [u64; 256],
    /// The flow whose mapping is to be kept.
    pub kept: Kept<V4>,
    /// 1: it is to be.
    pub keeps: u64,
    /// What the packet's sender is told.
    pub word: Word,
    /// The most that the next hop of a packet takes that is larger.
    pub mtu: u16,
    pad: [u8; 2],
}

impl Desk {
    /// `opened`: no flow was opened for this packet.
    pub const NOT_YET: u64 = 0;
    /// `opened`: one was, it is in the embryonic tier.
    pub const STORED: u64 = 1;
    /// `opened`: none was.
    pub const REFUSED: u32 = 2;
}

/// This CPU's desk.
#[btf_map]
pub static DESK: PerCpuArray<Desk, { limits::ONE as usize }> = PerCpuArray::new();
/// What the daemon has set.
#[btf_map]
pub static SETTINGS: Array<Settings, { limits::ONE as usize }> = Array::new();
/// Which ports flows of routes may have.
#[btf_map]
pub static FLOW_PORTS: Array<u64, { limits::FLOW_PORTS as usize }> = Array::new();
/// Own and peer addresses.
#[btf_map]
pub static ADDRESSES: HashMap<V4, Address, { limits::ADDRESSES as usize }> = HashMap::new();
/// Prefixes that may come in by one interface only.
#[btf_map]
pub static NETWORKS: Array<Network<V4>, { limits::NETWORKS as usize }> = Array::new();
/// Managed interfaces, by index.
#[btf_map]
pub static INTERFACES: HashMap<u32, Interface, { limits::INTERFACES as usize }> = HashMap::new();
/// Ways to neighbours; flows hold indexes into it.
#[btf_map]
pub static NEXT_HOPS: Array<NextHop, { limits::NEXT_HOPS as usize }> = Array::new();
/// Listen address and port to route.
#[btf_map]
pub static LISTENERS: HashMap<Listener<V4>, Listening, { limits::LISTENERS as usize }> =
    HashMap::new();
/// Routes by id.
#[btf_map]
pub static ROUTES: HashMap<u32, Route, { limits::ROUTES as usize }> = HashMap::new();
/// Their names: the daemon's, so that ids keep their meaning over its restart. No program reads it.
#[btf_map]
pub static ROUTE_NAMES: HashMap<u32, [u8; ROUTE_NAME_BYTES], { limits::ROUTES as usize }> =
    HashMap::new();
/// Backend ids in the order of their turns; a route has a run of them.
#[btf_map]
pub static SLOTS: Array<u32, { limits::SLOTS as usize }> = Array::new();
/// Cursors, by route id.
#[btf_map]
pub static TURNS: Array<Turn, { limits::ROUTES as usize }> = Array::new();
/// Backends by id.
#[btf_map]
pub static BACKENDS: Array<Backend<V4>, { limits::BACKENDS as usize }> = Array::new();
/// Flows that each backend has now, by backend id.
#[btf_map]
pub static LOADS: Array<Load, { limits::BACKENDS as usize }> = Array::new();
/// What each backend has carried, by backend id.
#[btf_map]
pub static COUNTERS: PerCpuArray<Counters, { limits::BACKENDS as usize }> = PerCpuArray::new();
/// Packets by the reason they ended for.
#[btf_map]
pub static REASONS: PerCpuArray<u64, { limits::REASONS as usize }> = PerCpuArray::new();
/// What the programs have sent by themselves.
#[btf_map]
pub static ANSWERS: PerCpuArray<Answers, { limits::ONE as usize }> = PerCpuArray::new();
/// Prefixes that routes allow or deny: 1 or 0.
#[btf_map]
pub static ACCESS: LpmTrie<Access<V4>, u32, { limits::ACCESS as usize }> = LpmTrie::new();
/// Established flows of TCP and of UDP.
#[btf_map]
pub static SHARES: Array<Load, { limits::PROTOCOLS as usize }> = Array::new();
/// Established flows of each client: the one that was silent longest gives way.
#[btf_map]
pub static SOURCES: LruHashMap<V4, Source, { limits::SOURCES as usize }> = LruHashMap::new();
/// Proved flows, two entries each: nothing evicts them. Mapped into memory, as the daemon walks it: that begins at a page,
/// and so each way at a cache line.
#[btf_map]
pub static ESTABLISHED: Array<
    Way<V4>,
    { tier::ways(tier::keeping(2 * limits::FLOWS)) as usize },
    { BPF_F_MMAPABLE as usize },
> = Array::new();
/// Where in it they are. Mapped, too.
#[btf_map]
pub static FLOW_TAGS: Array<
    FlowSet,
    { tier::keeping(2 * limits::FLOWS) as usize },
    { BPF_F_MMAPABLE as usize },
> = Array::new();
/// How many they are. Mapped, too.
#[btf_map]
pub static ENTRIES: Array<u64, { limits::ONE as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();
/// Flows not yet proved, two entries each: of a set's the oldest give way. Mapped as `ESTABLISHED` is.
#[btf_map]
pub static EMBRYONIC: Array<
    Way<V4>,
    { tier::room(2 * limits::EMBRYONIC) as usize },
    { BPF_F_MMAPABLE as usize },
> = Array::new();
/// Where in it they are. Mapped, too.
#[btf_map]
pub static EMBRYO_TAGS: Array<
    FlowSet,
    { tier::evicting(2 * limits::EMBRYONIC) as usize },
    { BPF_F_MMAPABLE as usize },
> = Array::new();
/// What the daemon has set of translation.
#[btf_map]
pub static NAT: Array<Nat<V4>, { limits::ONE as usize }> = Array::new();
/// Inside hosts' sockets and what the outside sees them as, two entries each: nothing evicts them.
#[btf_map]
pub static MAPPINGS: HashMap<End<V4>, Mapping<V4>, { 2 * limits::MAPPINGS as usize }> =
    HashMap::new();
/// Which ports of the NAT addresses are taken or reserved: a hint.
#[btf_map]
pub static PORTS: Array<u64, { limits::PORTS as usize }> = Array::new();
/// Which of them are reserved, in the same places: these are never given out.
#[btf_map]
pub static RESERVED: Array<u64, { limits::PORTS as usize }> = Array::new();
/// Addresses outside that mappings have sent to: the oldest give way.
#[btf_map]
pub static PERMISSIONS: LruHashMap<Permission<V4>, u32, { limits::PERMISSIONS as usize }> =
    LruHashMap::new();
/// Mappings of each inside host: the one that was silent longest gives way.
#[btf_map]
pub static SUBSCRIBERS: LruHashMap<V4, Source, { limits::SUBSCRIBERS as usize }> =
    LruHashMap::new();
/// Ports that sockets of this host have bound, and how many have. Who binds it twice is counted once.
#[btf_map]
pub static BOUND: HashMap<End<V4>, u64, { limits::BOUND as usize }> = HashMap::new();
/// Sockets that have, by their cookie.
#[btf_map]
pub static BINDERS: HashMap<u64, End<V4>, { limits::BOUND as usize }> = HashMap::new();
/// Mappings that begin, for the daemon's log.
#[btf_map]
pub static MAPPED: RingBuf<Mapped<V4>, { limits::MAPPED_BYTES as usize }> = RingBuf::new();
/// What first fragments have said: the oldest give way.
#[btf_map]
pub static FRAGMENTS: LruHashMap<Fragmented<V4>, First, { limits::FRAGMENTS as usize }> =
    LruHashMap::new();
/// Fragments that came before their first one, for the daemon.
#[btf_map]
pub static HELD: RingBuf<Held, { limits::HELD_BYTES as usize }> = RingBuf::new();

const _: () = assert!(Reason::ALL.len() <= limits::REASONS as usize);
