//! What has come, changed and gone between two looks at the tables: pure, and bounded by how much one may follow.
#![forbid(unsafe_code)]

use super::filter::Filter;
use super::row::{FlowRow, MappingRow, Row};
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::nat::{End, Mapping};
use gwpool_common::net::V4;
use std::collections::HashMap;

/// Flows and mappings that one may follow at a time: 64 MiB for two looks.
pub const FOLLOWED_MAX: usize = 262_144;

/// What was there at a look.
#[derive(Debug, Default)]
pub struct Look {
    flows: HashMap<FlowKey<V4>, Halves>,
    mappings: HashMap<End<V4>, MappingRow>,
}

/// A flow as far as it was seen.
#[derive(Clone, Copy, Debug)]
struct Halves {
    row: FlowRow,
    /// Its client side was: a flow is that.
    client: bool,
}

/// What has become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// It has gone.
    End,
    /// It has come.
    New,
    /// It is at another state.
    Update,
}

impl Event {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Event::New => "new",
            Event::Update => "update",
            Event::End => "end",
        }
    }
}

impl Look {
    /// Takes an entry of one of the tiers, if it may be meant; the established tier last: what stands there holds.
    pub fn see_flow(
        &mut self,
        filter: &Filter,
        key: &FlowKey<V4>,
        flow: &Flow<V4>,
        established: bool,
        now: u16,
    ) {
        let row = FlowRow::of_half(key, flow, established);
        if !filter.suspects(&Row::Flow(row)) {
            return;
        }
        let half = Halves {
            row,
            client: flow.flags & Flow::<V4>::BACKEND_SIDE == 0,
        };
        let known = self.flows.entry(row.key).or_insert(half);
        if known.row.back == row.back && known.row.established == established {
            known.row = known.row.joined(&row, now);
            known.client |= half.client;
        } else {
            *known = half;
        }
    }

    /// Takes a mapping's inside entry, if it is meant.
    pub fn see_mapping(&mut self, filter: &Filter, inside: &End<V4>, mapping: &Mapping<V4>) {
        let row = MappingRow::of(inside, mapping);
        if inside.side == End::<V4>::INSIDE && filter.suspects(&Row::Mapping(row)) {
            self.mappings.insert(*inside, row);
        }
    }

    /// Leaves out what is not whole.
    pub fn close(&mut self) {
        self.flows.retain(|_, halves| halves.client);
    }

    /// How much was taken.
    pub fn len(&self) -> usize {
        self.flows.len() + self.mappings.len()
    }

    /// Nothing was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is another than before and meant, flows first, each in the order of their keys.
    pub fn since(&self, before: &Look, filter: &Filter) -> Vec<(Event, Row)> {
        let flow = |halves: &Halves| Row::Flow(halves.row);
        let mut flows = changes(&before.flows, &self.flows, flow);
        flows.sort_unstable_by_key(|(event, key, _)| (*key, *event));
        let mapping = |row: &MappingRow| Row::Mapping(*row);
        let mut mappings = changes(&before.mappings, &self.mappings, mapping);
        mappings.sort_unstable_by_key(|(event, key, _)| (*key, *event));
        let flows = flows.into_iter().map(|(event, _, row)| (event, row));
        let mappings = mappings.into_iter().map(|(event, _, row)| (event, row));
        flows
            .chain(mappings)
            .filter(|(_, row)| filter.takes(row))
            .collect()
    }
}

fn changes<K: Copy + Eq + std::hash::Hash, V>(
    before: &HashMap<K, V>,
    now: &HashMap<K, V>,
    row: impl Fn(&V) -> Row,
) -> Vec<(Event, K, Row)> {
    let mut changes = Vec::new();
    for (key, value) in before {
        if !now.contains_key(key) {
            changes.push((Event::End, *key, row(value)));
        }
    }
    for (key, value) in now {
        let (present, past) = (row(value), before.get(key).map(&row));
        match past {
            None => changes.push((Event::New, *key, present)),
            Some(past) if past.way() != present.way() => {
                changes.push((Event::End, *key, past));
                changes.push((Event::New, *key, present));
            }
            Some(past) if past.state() != present.state() => {
                changes.push((Event::Update, *key, present));
            }
            Some(_) => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests;
