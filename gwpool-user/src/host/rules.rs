//! Rules of the kernel's own firewall that translate what inside hosts send outside; pure.
//!
//! Whoever asks gives the rules as the kernel's tools print them ([`nftables`], [`iptables`]). They are walked as a packet
//! of an inside host walks them, one that nobody has marked: where that cannot be told, a rule is not named.
#![forbid(unsafe_code)]

pub mod iptables;
pub mod nftables;

use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Chains in chains that are followed.
const DEPTH_MAX: usize = 16;

/// The packets in question.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    /// The interface they come in by.
    pub inside: &'a str,
    /// The interface they leave by.
    pub outside: &'a str,
    /// Prefixes that they come from.
    pub sources: &'a [Ipv4Net],
}

/// How many of the packets a match takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    /// All.
    All,
    /// Some: by destination, protocol, port.
    Some,
    /// It hangs on what is not known here: a mark, a state.
    Unknown,
    /// None.
    None,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It translates the source.
    Translate,
    /// The walk ends.
    End,
    /// The walk goes on behind the jump.
    Return,
    /// It goes on in another chain, and comes back.
    Jump(String),
    /// It goes on in another chain.
    Goto(String),
    /// Nothing that matters.
    Pass,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is for.
    pub hit: Hit,
    /// What it does.
    pub verdict: Verdict,
    /// The command that takes it out.
    pub removal: String,
}

/// The chains of one table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// By name.
    pub chains: BTreeMap<String, Vec<Rule>>,
    /// Those where packets that leave are translated.
    pub bases: Vec<String>,
}

/// Where a walk through a chain has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Returned,
    Ended,
}

impl Table {
    /// The removals of the rules that translate.
    pub fn translating(&self) -> Vec<String> {
        let mut found = Vec::new();
        for base in &self.bases {
            self.walk(base, DEPTH_MAX, &mut found);
        }
        let mut named = Vec::new();
        found.retain(|removal| {
            let is_new = !named.contains(removal);
            named.push(removal.clone());
            is_new
        });
        found
    }

    fn walk(&self, chain: &str, depth: usize, found: &mut Vec<String>) -> After {
        let Some(depth) = depth.checked_sub(1) else {
            return After::Returned;
        };
        for rule in self.chains.get(chain).into_iter().flatten() {
            let is_sure = rule.hit == Hit::All;
            let is_base = self.bases.iter().any(|base| base == chain);
            let after = match (&rule.verdict, rule.hit) {
                (_, Hit::None) | (Verdict::Pass, _) => continue,
                // Behind it are, for all that is known, only packets that somebody has marked.
                (Verdict::Return, Hit::Unknown) if !is_base => return After::Returned,
                (_, Hit::Unknown) => continue,
                (Verdict::Translate, _) => {
                    found.push(rule.removal.clone());
                    After::Ended
                }
                (Verdict::End, _) => After::Ended,
                (Verdict::Return, _) => {
                    if is_sure {
                        return After::Returned;
                    }
                    continue;
                }
                (Verdict::Jump(to), _) => self.walk(to, depth, found),
                (Verdict::Goto(to), _) => match (self.walk(to, depth, found), is_sure) {
                    (after, true) => return after,
                    (after, false) => after,
                },
            };
            if is_sure && after == After::Ended {
                return After::Ended;
            }
        }
        After::Returned
    }
}

impl Hit {
    /// Both matches of one rule.
    pub fn and(self, other: Hit) -> Hit {
        self.max(other)
    }

    /// The match turned round.
    pub fn inverted(self) -> Hit {
        match self {
            Hit::All => Hit::None,
            Hit::None => Hit::All,
            other => other,
        }
    }

    /// A name of an interface, perhaps with a wildcard (`*` in nftables, `+` in iptables).
    pub fn interface(pattern: &str, name: &str) -> Hit {
        let is_it = match pattern.strip_suffix(['*', '+']) {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        if is_it { Hit::All } else { Hit::None }
    }

    /// A prefix, or an address, among those of inside hosts.
    pub fn source(text: &str, sources: &[Ipv4Net]) -> Hit {
        let prefix = text
            .parse::<Ipv4Net>()
            .or_else(|_| text.parse::<Ipv4Addr>().map(Ipv4Net::from));
        let Ok(prefix) = prefix.map(|prefix| prefix.trunc()) else {
            return Hit::Unknown;
        };
        let meets = |source: &&Ipv4Net| prefix.contains(*source) || source.contains(&prefix);
        match sources.iter().filter(meets).count() {
            0 => Hit::None,
            met if met == sources.len() && sources.iter().all(|source| prefix.contains(source)) => {
                Hit::All
            }
            _ => Hit::Some,
        }
    }
}

#[cfg(test)]
mod tests;
