//! Which mappings are over, how many there are, and which ports that leaves taken; pure.
//!
//! A mapping has two entries, and each is judged by itself, so that what a race or a killed daemon left in halves goes,
//! too. An entry is *suspect* if its mapping was not seen for long enough, or if its other entry is not there; a live
//! flow that names it clears it. What was suspect a pass ago and has not moved is over.
#![forbid(unsafe_code)]

use super::expiry::Timers;
use crate::plan::{Plan, reserved};
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::limits::{FULL_WORDS, PORT_WORDS, PORTS};
use gwpool_common::nat::{End, Mapping, Nat};
use gwpool_common::net::V4;
use gwpool_ebpf::lifetime::age;
use gwpool_ebpf::mapping::{ends, other};
use gwpool_ebpf::pool::{self, PROTOCOLS};
use std::collections::{HashMap, HashSet};

/// Entries by their ends.
pub type Entries = HashMap<End<V4>, Mapping<V4>>;

/// One of them.
pub type Entry<'a> = (&'a End<V4>, &'a Mapping<V4>);

/// Entries that may be over.
#[derive(Debug, Default)]
pub struct Suspects {
    /// Over unless a flow names them.
    idle: HashSet<End<V4>>,
    /// Outside entries whose inside one is not there, and whose that would be: a flow of that one does not clear them, as
    /// its next packet can only make the mapping anew when they are gone.
    lost: HashMap<End<V4>, End<V4>>,
    /// Inside entries without an outside one: whoever uses them has no port, and gets one anew.
    broken: Vec<End<V4>>,
}

/// How many mappings there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub mappings: u64,
    /// By inside host. This host's own sockets are nobody's.
    pub hosts: HashMap<V4, u32>,
}

impl Suspects {
    /// Looks at one of these entries.
    pub fn see(&mut self, entries: &Entries, (end, mapping): Entry<'_>, timers: &Timers, now: u16) {
        let far = other(end, mapping);
        let idle = |inside: &Mapping<V4>| age(inside.seen, now) >= timers.mapping(end.protocol);
        match (end.side, entries.get(&far)) {
            (End::<V4>::INSIDE, None) => self.broken.push(*end),
            (End::<V4>::INSIDE, Some(_)) if !idle(mapping) => {}
            (End::<V4>::OUTSIDE, Some(inside)) if other(&far, inside) == *end && !idle(inside) => {}
            (_, beyond) => {
                self.idle.insert(*end);
                if beyond.is_none() {
                    self.lost.insert(*end, far);
                }
            }
        }
    }

    /// Clears what a translated flow names.
    pub fn clear(&mut self, key: &FlowKey<V4>, flow: &Flow<V4>) {
        if !self.idle.is_empty() {
            let (inside, outside) = ends(key, flow);
            self.idle.remove(&inside);
            if self.lost.get(&outside) != Some(&inside) {
                self.idle.remove(&outside);
            }
        }
    }

    /// What is left of them: those that were so a pass ago, inside ends first, and all others, each as it was found.
    pub fn over(&self, entries: &Entries, before: &Entries) -> (Vec<End<V4>>, Entries) {
        let idle = self.idle.iter().map(|end| (end, false));
        let broken = self.broken.iter().map(|end| (end, true));
        let (mut over, mut marked) = (Vec::new(), Entries::new());
        for (end, is_broken) in idle.chain(broken) {
            let Some(found) = entries.get(end) else {
                continue;
            };
            let same = before.get(end).is_some_and(|mark| {
                // One that is broken is so however often it is used.
                mark == found || (is_broken && other(end, mark) == other(end, found))
            });
            if same {
                over.push(*end);
            } else {
                marked.insert(*end, *found);
            }
        }
        over.sort_unstable_by_key(|end| (end.side, *end));
        (over, marked)
    }
}

impl Tally {
    /// Counts an entry.
    pub fn see(&mut self, (end, mapping): Entry<'_>) {
        if end.side == End::<V4>::INSIDE {
            self.mappings += 1;
            if end.address != mapping.address {
                *self.hosts.entry(end.address).or_default() += 1;
            }
        }
    }
}

/// The words of `PORTS` as they are for these entries and the plan's reserved ports, those of the second level left out.
pub fn words(entries: &Entries, nat: &Nat<V4>, plan: &Plan) -> Vec<u64> {
    let mut words = vec![0; PORTS as usize];
    let addresses = || (0..nat.address_count).zip(&nat.addresses);
    for (number, address) in addresses() {
        for (protocol, place) in PROTOCOLS
            .iter()
            .filter_map(|protocol| Some((*protocol, pool::place(*protocol)?)))
        {
            let first = pool::words(number, place) as usize;
            words[first..first + PORT_WORDS as usize]
                .copy_from_slice(&reserved::words(plan, *address, protocol));
        }
    }
    for (index, bit) in entries.keys().filter_map(|end| place(nat, end)) {
        words[index] |= bit;
    }
    words
}

/// Where the port of an outside end of ours stands.
fn place(nat: &Nat<V4>, end: &End<V4>) -> Option<(usize, u64)> {
    let addresses = (0..nat.address_count).zip(&nat.addresses);
    let own = |(_, own): &(u32, &V4)| end.side == End::<V4>::OUTSIDE && **own == end.address;
    let (number, _) = addresses.into_iter().find(own)?;
    let (word, bit) = pool::bit(u16::from_be_bytes(end.port));
    let first = pool::words(number, pool::place(end.protocol)?);
    Some(((first + word) as usize, bit))
}

/// What is to be written when these outside ends are nobody's any more. `reserved`: [`words`] without entries.
pub fn freed<'a>(
    ends: impl Iterator<Item = &'a End<V4>>,
    nat: &Nat<V4>,
    reserved: &[u64],
    now: &[u64],
) -> Vec<(u32, u64)> {
    let mut words = now.to_vec();
    for (index, bit) in ends.filter_map(|end| place(nat, end)) {
        if let (Some(word), Some(reserved)) = (words.get_mut(index), reserved.get(index)) {
            *word &= !bit | reserved;
        }
    }
    corrections(words, now, now)
}

/// What is to be written, where `before` was there before the entries were walked through and `now` is after it: bits
/// that have come since are of mappings that the walk may have missed, and stay; those that have gone are of mappings that
/// were removed by hand, which the walk may still have seen.
pub fn corrections(mut words: Vec<u64>, before: &[u64], now: &[u64]) -> Vec<(u32, u64)> {
    for ((word, before), now) in words.iter_mut().zip(before).zip(now) {
        *word = (*word | now & !before) & !(before & !now);
    }
    for one in words.chunks_mut((PORT_WORDS + FULL_WORDS) as usize) {
        let (ports, full) = one.split_at_mut(PORT_WORDS as usize);
        full.copy_from_slice(&reserved::full(ports));
    }
    let differs = |(_, (word, now)): &(u32, (&u64, &u64))| word != now;
    (0..)
        .zip(words.iter().zip(now))
        .filter(differs)
        .map(|(index, (word, _))| (index, *word))
        .collect()
}

#[cfg(test)]
mod tests;
