//! The maps, typed: the only place where a map's name meets the types of the contract.
//!
//! What each one holds is said in `gwpool-common`. Reading them into an [`crate::plan::Image`] and writing them is
//! in [`super::apply`]; the flow tables have a handle of their own, see [`super::flows`].

use super::error::Error;
use aya::Ebpf;
use aya::maps::lpm_trie::LpmTrie;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use gwpool_common::answers::Answers;
use gwpool_common::flow::{FlowSet, Way};
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits::Settings;
use gwpool_common::nat::{End, Mapping, Nat, Permission};
use gwpool_common::net::{Address, Interface, Network, NextHop, V4};
use gwpool_common::route::{
    Access, Backend, Counters, Listener, Listening, Load, ROUTE_NAME_BYTES, Route, Source,
};

/// Every map of the object that outlives a daemon: these are pinned and adopted.
pub const NAMES: [&str; 33] = [
    "SETTINGS",
    "ADDRESSES",
    "NETWORKS",
    "INTERFACES",
    "NEXT_HOPS",
    "FLOW_PORTS",
    "LISTENERS",
    "ROUTES",
    "ROUTE_NAMES",
    "SLOTS",
    "TURNS",
    "BACKENDS",
    "COUNTERS",
    "LOADS",
    "ACCESS",
    "SHARES",
    "SOURCES",
    "REASONS",
    "ANSWERS",
    "ESTABLISHED",
    "FLOW_TAGS",
    "ENTRIES",
    "EMBRYONIC",
    "EMBRYO_TAGS",
    "FRAGMENTS",
    "NAT",
    "MAPPINGS",
    "PORTS",
    "RESERVED",
    "PERMISSIONS",
    "SUBSCRIBERS",
    "BOUND",
    "BINDERS",
];

/// Typed handles.
pub struct Maps {
    /// One entry.
    pub settings: Array<MapData, Settings>,
    /// Own and peer addresses.
    pub addresses: HashMap<MapData, V4, Address>,
    /// Guarded prefixes.
    pub networks: Array<MapData, Network<V4>>,
    /// Managed interfaces.
    pub interfaces: HashMap<MapData, u32, Interface>,
    /// Learned by the programs, freed by the sweep.
    pub next_hops: Array<MapData, NextHop>,
    /// Bits, see [`gwpool_common::route::FlowPorts`].
    pub flow_ports: Array<MapData, u64>,
    /// Route ids and port offsets.
    pub listeners: HashMap<MapData, Listener<V4>, Listening>,
    /// By id.
    pub routes: HashMap<MapData, u32, Route>,
    /// By route id, zero-padded.
    pub names: HashMap<MapData, u32, [u8; ROUTE_NAME_BYTES]>,
    /// Runs of backend ids.
    pub slots: Array<MapData, u32>,
    /// Cursors by route id, one cache line each.
    pub turns: Array<MapData, [u64; 8]>,
    /// By id.
    pub backends: Array<MapData, Backend<V4>>,
    /// Live flows by backend id.
    pub loads: Array<MapData, Load>,
    /// Allowed and denied prefixes by route.
    pub access: LpmTrie<MapData, Access<V4>, u32>,
    /// Established flows of TCP and of UDP.
    pub shares: Array<MapData, Load>,
    /// Established flows by client.
    pub sources: HashMap<MapData, V4, Source>,
    /// By backend id.
    pub counters: PerCpuArray<MapData, Counters>,
    /// By reason.
    pub reasons: PerCpuArray<MapData, u64>,
    /// One entry.
    pub answers: PerCpuArray<MapData, Answers>,
    /// The tier that nothing evicts.
    pub established: Array<MapData, Way<V4>>,
    /// Where in it they are.
    pub flow_tags: Array<MapData, FlowSet>,
    /// How many they are.
    pub entries: Array<MapData, u64>,
    /// The tier that evicts.
    pub embryonic: Array<MapData, Way<V4>>,
    /// Where in it they are.
    pub embryo_tags: Array<MapData, FlowSet>,
    /// What first fragments have said.
    pub fragments: HashMap<MapData, Fragmented<V4>, First>,
    /// One entry.
    pub nat: Array<MapData, Nat<V4>>,
    /// Two entries a mapping.
    pub mappings: HashMap<MapData, End<V4>, Mapping<V4>>,
    /// By address, protocol and word: see [`gwpool_ebpf::pool`].
    pub ports: Array<MapData, u64>,
    /// The same places: which are never given out.
    pub reserved: Array<MapData, u64>,
    /// The tick they were last used in.
    pub permissions: HashMap<MapData, Permission<V4>, u32>,
    /// Mappings by inside host.
    pub subscribers: HashMap<MapData, V4, Source>,
    /// Mappings that begin. Not pinned: each daemon has its own; the mapping log takes it.
    pub mapped: Option<RingBuf<MapData>>,
    /// Fragments that came before their first one. Not pinned: each daemon has its own; `fragments` takes it.
    pub held: Option<RingBuf<MapData>>,
}

impl Maps {
    /// Takes the maps out of a loaded object.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Maps {
            settings: typed(ebpf, "SETTINGS")?,
            addresses: typed(ebpf, "ADDRESSES")?,
            networks: typed(ebpf, "NETWORKS")?,
            interfaces: typed(ebpf, "INTERFACES")?,
            next_hops: typed(ebpf, "NEXT_HOPS")?,
            flow_ports: typed(ebpf, "FLOW_PORTS")?,
            listeners: typed(ebpf, "LISTENERS")?,
            routes: typed(ebpf, "ROUTES")?,
            names: typed(ebpf, "ROUTE_NAMES")?,
            slots: typed(ebpf, "SLOTS")?,
            turns: typed(ebpf, "TURNS")?,
            backends: typed(ebpf, "BACKENDS")?,
            loads: typed(ebpf, "LOADS")?,
            access: typed(ebpf, "ACCESS")?,
            shares: typed(ebpf, "SHARES")?,
            sources: typed(ebpf, "SOURCES")?,
            counters: typed(ebpf, "COUNTERS")?,
            reasons: typed(ebpf, "REASONS")?,
            answers: typed(ebpf, "ANSWERS")?,
            established: typed(ebpf, "ESTABLISHED")?,
            flow_tags: typed(ebpf, "FLOW_TAGS")?,
            entries: typed(ebpf, "ENTRIES")?,
            embryonic: typed(ebpf, "EMBRYONIC")?,
            embryo_tags: typed(ebpf, "EMBRYO_TAGS")?,
            fragments: typed(ebpf, "FRAGMENTS")?,
            nat: typed(ebpf, "NAT")?,
            mappings: typed(ebpf, "MAPPINGS")?,
            ports: typed(ebpf, "PORTS")?,
            reserved: typed(ebpf, "RESERVED")?,
            permissions: typed(ebpf, "PERMISSIONS")?,
            subscribers: typed(ebpf, "SUBSCRIBERS")?,
            mapped: Some(typed(ebpf, "MAPPED")?),
            held: Some(typed(ebpf, "HELD")?),
        })
    }
}

fn typed<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, Error> {
    let map = ebpf.take_map(name).ok_or_else(|| Error::Lacks {
        kind: "map",
        name: name.to_owned(),
    })?;
    M::try_from(map).map_err(|source| Error::Map {
        map: name,
        what: "its key or value is not the contract's".to_owned(),
        source,
    })
}
