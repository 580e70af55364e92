//! What the log has said of mappings, and what it has to say next; pure.
//!
//! The programs tell of beginnings as they happen, as long as their buffer has room; the sweep tells of ends, and what
//! there is. What is there and was not told of, or was and is no more, is said when two sweeps agree on it: so nothing is
//! left out, though it may come late, and nothing is said twice because a sweep and a packet crossed.
#![forbid(unsafe_code)]

use gwpool_common::nat::{End, Mapped};
use gwpool_common::net::V4;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::Ipv4Addr;

/// A mapping: its inside end and its outside end.
pub type Pair = (End<V4>, End<V4>);

/// All mappings that are said to be there.
#[derive(Debug, Default)]
pub struct Journal {
    known: HashMap<End<V4>, End<V4>>,
    /// The last sweep has found them, and nobody has told of them.
    untold: HashSet<Pair>,
    /// The last sweep has not found them.
    unseen: HashSet<Pair>,
}

/// What has become of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It is no more.
    Ends,
    /// It was given out.
    Begins,
    /// It was found: given out before this daemon, or while the buffer was full.
    Found,
}

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is said
    pub what: What,
    /// of which mapping.
    pub pair: Pair,
}

impl Journal {
    /// A program tells of a mapping.
    pub fn told(&mut self, mapped: &Mapped<V4>) -> Vec<Line> {
        let pair = (mapped.inside, mapped.outside);
        if mapped.what == Mapped::<V4>::BEGINS {
            self.begins(pair, What::Begins)
        } else {
            self.ends(pair);
            vec![Line::of(What::Ends, pair)]
        }
    }

    /// A sweep has removed some mappings and found others, all of them.
    pub fn swept(&mut self, over: &[Pair], live: &[Pair]) -> Vec<Line> {
        let mut lines = Vec::new();
        for pair in over {
            self.ends(*pair);
            lines.push(Line::of(What::Ends, *pair));
        }
        let live: HashSet<Pair> = live.iter().copied().collect();
        let unseen = |(inside, outside): (&End<V4>, &End<V4>)| (*inside, *outside);
        let unseen: HashSet<Pair> = self.known.iter().map(unseen).collect();
        let unseen: HashSet<Pair> = unseen.difference(&live).copied().collect();
        for pair in sorted(unseen.intersection(&self.unseen)) {
            self.ends(pair);
            lines.push(Line::of(What::Ends, pair));
        }
        let is_untold = |(inside, outside): &Pair| self.known.get(inside) != Some(outside);
        let untold: HashSet<Pair> = live.into_iter().filter(is_untold).collect();
        for pair in sorted(untold.intersection(&self.untold)) {
            lines.extend(self.begins(pair, What::Found));
        }
        (self.unseen, self.untold) = (unseen, untold);
        lines
    }

    /// Nothing is logged any more: what comes later is found anew.
    pub fn forget(&mut self) {
        *self = Journal::default();
    }

    fn begins(&mut self, pair: Pair, what: What) -> Vec<Line> {
        let (inside, outside) = pair;
        match self.known.insert(inside, outside) {
            Some(before) if before == outside => Vec::new(),
            // Its end was not told.
            Some(before) => vec![Line::of(What::Ends, (inside, before)), Line::of(what, pair)],
            None => vec![Line::of(what, pair)],
        }
    }

    fn ends(&mut self, (inside, outside): Pair) {
        if self.known.get(&inside) == Some(&outside) {
            self.known.remove(&inside);
        }
    }
}

fn sorted<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = pairs.copied().collect();
    pairs.sort_unstable();
    pairs
}

impl Line {
    fn of(what: What, pair: Pair) -> Self {
        Line { what, pair }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inside, outside) = &self.pair;
        let what = match self.what {
            What::Begins => "begins",
            What::Found => "found",
            What::Ends => "ends",
        };
        let protocol = match inside.protocol {
            1 => "icmp",
            6 => "tcp",
            _ => "udp",
        };
        let socket = |end: &End<V4>| {
            let port = u16::from_be_bytes(end.port);
            format!("{}:{port}", Ipv4Addr::from(end.address))
        };
        let (inside, outside) = (socket(inside), socket(outside));
        write!(out, "nat mapping {what}: {protocol} {inside} as {outside}")
    }
}

#[cfg(test)]
mod tests;
