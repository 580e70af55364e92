//! Ports that are never given out, into `RESERVED` and `PORTS` before any of an address is: when translation begins, and
//! whenever the plan or the addresses are others. What mappings have taken stays taken; the next sweep sets every word
//! right.

use super::error::Error;
use super::loader::Datapath;
use super::mappings::{Entries, words};
use crate::plan::{Plan, reserved};
use gwpool_common::limits::{FULL_WORDS, NAT_PROTOCOLS, PORT_WORDS};
use gwpool_common::nat::Nat;
use gwpool_common::net::V4;

/// Words of an address and a protocol.
const GROUP: usize = (PORT_WORDS + FULL_WORDS) as usize;

/// What was reserved last.
#[derive(Debug, Default)]
pub struct Reserved {
    words: Vec<u64>,
    /// Whose they are; none at first, when what stands there is an earlier daemon's.
    addresses: Option<Vec<V4>>,
}

impl Reserved {
    /// Writes what has changed; how many words that were.
    pub fn lay(&mut self, datapath: &Datapath, plan: &Plan, nat: &Nat<V4>) -> Result<usize, Error> {
        let addresses = nat.addresses[..nat.address_count as usize].to_vec();
        let reserved = words(&Entries::new(), nat, plan);
        if self.words == reserved && self.addresses.as_ref() == Some(&addresses) {
            return Ok(0);
        }
        let now: Vec<u64> = datapath
            .flows
            .ports
            .all()?
            .into_iter()
            .map(|(_, word)| word)
            .collect();
        let writes = writes(&reserved, &now, self.addresses.as_deref(), &addresses);
        let set = |(index, word): &(u32, u64)| Some((*index, Some(*word)));
        let there = datapath.flows.reserved.all()?.into_iter();
        let fixed: Vec<(u32, u64)> = there
            .zip(&reserved)
            .filter(|((_, there), wanted)| there != *wanted)
            .map(|((index, _), wanted)| (index, *wanted))
            .collect();
        datapath.flows.reserved.write(&fixed, set)?;
        datapath.flows.ports.write(&writes, set)?;
        *self = Reserved {
            words: reserved,
            addresses: Some(addresses),
        };
        Ok(writes.len())
    }
}

/// The words that differ. Of an address that has just come to its place nothing is taken yet.
fn writes(
    reserved: &[u64],
    now: &[u64],
    before: Option<&[V4]>,
    addresses: &[V4],
) -> Vec<(u32, u64)> {
    let groups = addresses.len() * NAT_PROTOCOLS as usize;
    let mut writes = Vec::new();
    for (group, (reserved, now)) in reserved
        .chunks(GROUP)
        .zip(now.chunks(GROUP))
        .take(groups)
        .enumerate()
    {
        let place = group / NAT_PROTOCOLS as usize;
        let stays = before.is_none_or(|before| before.get(place) == Some(&addresses[place]));
        let taken = |word: &u64| if stays { *word } else { 0 };
        let ports = reserved.iter().zip(now).take(PORT_WORDS as usize);
        let mut words: Vec<u64> = ports.map(|(reserved, now)| reserved | taken(now)).collect();
        let full = reserved::full(&words);
        words.extend(full);
        let first = (group * GROUP) as u32;
        let changed = (first..).zip(words).zip(now);
        writes.extend(
            changed
                .filter(|((_, word), now)| word != *now)
                .map(|(write, _)| write),
        );
    }
    writes
}

#[cfg(test)]
mod tests;
