//! How full everything is that holds only so much: the part of a snapshot that says when a limit must be raised.

use super::snapshot::Sources;
use gwpool_common::limits;
use gwpool_ebpf::tier;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table, or a share of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// What it holds.
    pub used: u64,
    /// What it can hold.
    pub capacity: u64,
}

/// All of them.
pub fn limits(sources: &Sources<'_>) -> BTreeMap<String, Fill> {
    let (plan, image, census) = (sources.plan, sources.image, sources.census);
    let limits = &plan.limits;
    let slots: u32 = image.routes.values().map(|route| route.slot_count).sum();
    [
        ("flows", census.established(), limits.flows),
        (
            "embryonic",
            census.embryonic.flows,
            tier::room(limits.embryonic.saturating_mul(2)) / 2,
        ),
        ("udp_flows", census.shares()[1], limits.udp_flows),
        // A name is kept as long as a flow may refer to it.
        ("routes", image.names.len() as u64, limits.routes),
        ("backends", image.backends.len() as u64, limits.backends),
        ("listeners", image.listeners.len() as u64, limits.listeners),
        ("slots", u64::from(slots), limits.turns()),
        ("access", image.access.len() as u64, limits.access),
        ("sources", sources.filled.sources, limits.sources),
        ("fragments", sources.filled.fragments, limits.fragments),
        // Two entries a mapping.
        (
            "mappings",
            sources.filled.mapping_entries.div_ceil(2),
            limits.mappings,
        ),
        (
            "permissions",
            sources.filled.permissions,
            limits.permissions,
        ),
        (
            "subscribers",
            sources.filled.subscribers,
            limits.subscribers,
        ),
        // Index 0 is never used.
        ("next_hops", sources.filled.next_hops, limits::NEXT_HOPS - 1),
    ]
    .into_iter()
    .map(|(name, used, capacity)| {
        let capacity = u64::from(capacity);
        (name.to_owned(), Fill { used, capacity })
    })
    .collect()
}
