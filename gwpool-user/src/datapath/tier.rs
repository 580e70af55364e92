//! Either tier of flows, walked in slices and asked for one: what lists flows need not know which it is.

use super::error::Error;
use super::flows::Flows;
use super::tables::Slices;
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::net::V4;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Flows that nothing has proved.
    Embryonic,
    /// Those that nothing evicts.
    Established,
}

/// A half of a flow.
pub type Entry = (FlowKey<V4>, Flow<V4>);

/// A walk through one.
pub enum Walk<'a> {
    /// From this set on.
    Embryonic(&'a Flows, u32),
    /// From here.
    Established(Slices<'a, FlowKey<V4>, Flow<V4>>),
}

impl Walk<'_> {
    /// The next entries; `None` at the end.
    pub fn next_slice(&mut self) -> Result<Option<Vec<Entry>>, Error> {
        match self {
            Walk::Embryonic(flows, from) => {
                let entries = flows.embryonic.next_slice(from);
                let flow = |(key, embryo): (FlowKey<V4>, Embryo<V4>)| (key, embryo.flow);
                Ok(entries.map(|entries| entries.into_iter().map(flow).collect()))
            }
            Walk::Established(slices) => {
                let entries = slices.next_slice()?;
                Ok(entries
                    .map(|(keys, flows)| keys.iter().copied().zip(flows.iter().copied()).collect()))
            }
        }
    }
}

impl Flows {
    /// A walk through a tier.
    pub fn walk(&self, tier: Tier) -> Walk<'_> {
        match tier {
            Tier::Embryonic => Walk::Embryonic(self, 0),
            Tier::Established => Walk::Established(self.established.slices()),
        }
    }

    /// One entry of it.
    pub fn get(&self, tier: Tier, key: &FlowKey<V4>) -> Result<Option<Flow<V4>>, Error> {
        match tier {
            Tier::Embryonic => Ok(self.embryonic.get(key)?.map(|embryo| embryo.flow)),
            Tier::Established => self.established.get(key),
        }
    }

    /// Takes entries out of it, in this order; those that are gone already are passed over.
    pub fn remove(&self, tier: Tier, keys: &[FlowKey<V4>]) -> Result<(), Error> {
        match tier {
            Tier::Embryonic => keys.iter().try_for_each(|key| self.embryonic.remove(key)),
            Tier::Established => {
                let gone = |key: &FlowKey<V4>| Some((*key, None));
                self.established.write(keys, gone).map(drop)
            }
        }
    }
}
