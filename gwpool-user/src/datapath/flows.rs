//! The tables that the programs fill, as the daemon walks them: in slices, so that no walk holds a thread for long.
//!
//! Handles of their own, so that a walk and a write to another map do not wait for each other.

use super::census::{Census, Embryonic};
use super::error::Error;
use super::halves::{Halves, ends};
use super::maps::Maps;
use super::sets::Sets;
use super::tables::{Named, named};
use gwpool_common::flow::Flow;
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits;
use gwpool_common::nat::{End, Mapping, Permission};
use gwpool_common::net::{NextHop, V4};
use gwpool_common::route::{Load, Source};
use gwpool_ebpf::pool;

/// Both tiers, and what is swept and counted with them.
#[derive(Debug)]
pub struct Flows {
    /// The tier that nothing evicts.
    pub established: Sets,
    /// The tier that evicts.
    pub embryonic: Sets,
    pub(super) next_hops: Named<u32, NextHop>,
    pub(super) loads: Named<u32, Load>,
    pub(super) sources: Named<V4, Source>,
    fragments: Named<Fragmented<V4>, First>,
    /// Two entries a mapping.
    pub mappings: Named<End<V4>, Mapping<V4>>,
    /// Which ports are taken.
    pub ports: Named<u32, u64>,
    pub(super) reserved: Named<u32, u64>,
    pub(super) permissions: Named<Permission<V4>, u32>,
    pub(super) subscribers: Named<V4, Source>,
}

/// How much there is of what the programs fill besides flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Clients whose flows are counted.
    pub sources: u64,
    /// Next hops in use.
    pub next_hops: u64,
    /// Fragmented packets whose first fragment is remembered.
    pub fragments: u64,
    /// Mappings, by `pool::place`: TCP, UDP, ICMP.
    pub mappings: [u64; limits::NAT_PROTOCOLS as usize],
    /// What they take of their table, two entries for one.
    pub mapping_entries: u64,
    /// Addresses outside that mappings have sent to.
    pub permissions: u64,
    /// Inside hosts whose mappings are counted.
    pub subscribers: u64,
}

impl Flows {
    /// Handles of all of them.
    pub fn of(maps: &Maps) -> Result<Self, Error> {
        Ok(Flows {
            established: Sets::of(
                ("FLOW_TAGS", &maps.flow_tags),
                ("ESTABLISHED", &maps.established),
                Some(&maps.entries),
                &maps.settings,
            )?,
            embryonic: Sets::of(
                ("EMBRYO_TAGS", &maps.embryo_tags),
                ("EMBRYONIC", &maps.embryonic),
                None,
                &maps.settings,
            )?,
            next_hops: named("NEXT_HOPS", &maps.next_hops)?,
            loads: named("LOADS", &maps.loads)?,
            sources: named("SOURCES", &maps.sources)?,
            fragments: named("FRAGMENTS", &maps.fragments)?,
            mappings: named("MAPPINGS", &maps.mappings)?,
            ports: named("PORTS", &maps.ports)?,
            reserved: named("RESERVED", &maps.reserved)?,
            permissions: named("PERMISSIONS", &maps.permissions)?,
            subscribers: named("SUBSCRIBERS", &maps.subscribers)?,
        })
    }

    /// Shows every entry of a mapping, two for each, slice by slice.
    pub async fn each_mapping(&self, see: impl FnMut(&End<V4>, &Mapping<V4>)) -> Result<(), Error> {
        self.mappings.each(see).await
    }

    /// The words that say which ports are taken.
    pub async fn ports(&self) -> Result<Vec<u64>, Error> {
        let mut words = Vec::with_capacity(limits::PORTS as usize);
        self.ports.each(|_, word| words.push(*word)).await?;
        Ok(words)
    }

    /// Counts both tiers.
    pub async fn census(&self) -> Result<Census, Error> {
        let mut census = Census::default();
        let mut ending = Halves::default();
        let see = |key: &_, flow: &_| {
            census.see(key, flow);
            if ends(flow) {
                ending.add(key, flow);
            }
        };
        self.established.each(see).await;
        for part in ending.parts() {
            for flow in part.flows().filter(|flow| flow.closed()) {
                census.closed(flow.backend());
            }
            tokio::task::yield_now().await;
        }
        census.embryonic = self.embryonic().await;
        Ok(census)
    }

    /// How many embryonic flows there are.
    pub async fn embryonic(&self) -> Embryonic {
        let mut embryonic = Embryonic::default();
        let see = |key: &_, flow: &_| embryonic.see(key, flow);
        self.embryonic.each(see).await;
        embryonic
    }

    /// Counts what there is besides flows.
    pub async fn filled(&self) -> Result<Filled, Error> {
        let mut filled = Filled::default();
        let sources = |_: &V4, _: &Source| filled.sources += 1;
        self.sources.each(sources).await?;
        let next_hops = |_: &u32, hop: &NextHop| {
            filled.next_hops += u64::from(hop.state == NextHop::VALID);
        };
        self.next_hops.each(next_hops).await?;
        let fragments = |_: &Fragmented<V4>, _: &First| filled.fragments += 1;
        self.fragments.each(fragments).await?;
        let permissions = |_: &Permission<V4>, _: &u32| filled.permissions += 1;
        self.permissions.each(permissions).await?;
        let subscribers = |_: &V4, _: &Source| filled.subscribers += 1;
        self.subscribers.each(subscribers).await?;
        let mappings = |end: &End<V4>, _: &Mapping<V4>| {
            filled.mapping_entries += 1;
            let place = pool::place(end.protocol).filter(|_| end.side == End::<V4>::INSIDE);
            if let Some(place) = place {
                filled.mappings[place as usize] += 1;
            }
        };
        self.each_mapping(mappings).await?;
        Ok(filled)
    }
}

/// Whether the entry matches what the client sends.
pub fn is_client_side(flow: &Flow<V4>) -> bool {
    flow.flags & Flow::<V4>::BACKEND_SIDE == 0
}
