//! `FILTER` words: which flows and mappings are meant. All words must fit; what is wrong is told at once. Pure.
#![forbid(unsafe_code)]

use super::entry::{Name, PROTOCOLS};
use super::row::{FlowRow, Row, State};
use crate::config::nearest;
use crate::plan::pattern::{listed, matches};
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::Ipv4Addr;

/// The words there are.
const WORDS: [&str; 8] = [
    "route", "backend", "client", "port", "state", "proto", "nat", "mapping",
];

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `route=`, `backend=`: backends by id.
    backends: Option<HashSet<u32>>,
    /// `client=`.
    client: Option<Ipv4Net>,
    /// `port=`.
    port: Option<u16>,
    /// `proto=`.
    protocol: Option<u8>,
    /// `state=`.
    state: Option<Stage>,
    /// `nat`.
    nat: bool,
    /// `mapping`.
    mapping: bool,
}

/// A state, or one of conntrack's words for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Is(State),
    Assured,
    Unreplied,
}

/// Routes and backends by id.
pub type Names = BTreeMap<u32, Name>;

impl Filter {
    /// Of these words.
    ///
    /// # Errors
    /// All that is wrong with them, a line for each.
    pub fn parse(words: &[String], names: &Names) -> Result<Filter, String> {
        let mut filter = Filter::default();
        let mut seen = BTreeSet::new();
        let mut wrong = Vec::new();
        for word in words {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (word.as_str(), None),
            };
            let key = if key == "mappings" { "mapping" } else { key };
            let taken = if seen.insert(key) {
                filter.take(key, value, names)
            } else {
                Err("is there twice".to_owned())
            };
            if let Err(why) = taken {
                wrong.push(format!("{word}: {why}"));
            }
        }
        if wrong.is_empty() {
            Ok(filter)
        } else {
            Err(wrong.join("\n"))
        }
    }

    fn take(&mut self, key: &str, value: Option<&str>, names: &Names) -> Result<(), String> {
        match (key, value) {
            ("nat", None) => self.nat = true,
            ("mapping", None) => self.mapping = true,
            ("nat" | "mapping", Some(_)) => return Err("takes no value".to_owned()),
            ("route", Some(pattern)) => {
                let routes = || names.values().filter_map(|(route, _)| route.clone());
                self.narrow(names, |(route, _)| {
                    route.as_ref().is_some_and(|route| matches(pattern, route))
                })
                .map_err(|()| no("route", pattern, routes()))?;
            }
            ("backend", Some(pattern)) => {
                let fits = |(route, backend): &Name| match pattern.rsplit_once('/') {
                    Some((of, name)) => {
                        matches(name, backend)
                            && route.as_ref().is_some_and(|route| matches(of, route))
                    }
                    None => matches(pattern, backend),
                };
                let backends = names.values().map(|(_, backend)| backend.clone());
                self.narrow(names, fits)
                    .map_err(|()| no("backend", pattern, backends))?;
            }
            ("client", Some(text)) => self.client = Some(prefix(text)?),
            ("port", Some(text)) => {
                let port = text.parse().ok().filter(|port| *port != 0);
                self.port = Some(port.ok_or("wanted a number from 1 to 65535")?);
            }
            ("proto", Some(text)) => self.protocol = Some(protocol(text)?),
            ("state", Some(text)) => self.state = Some(stage(text)?),
            (known, None) if WORDS.contains(&known) => {
                return Err(format!("lacks its value: {known}=..."));
            }
            (unknown, _) => {
                return Err(format!(
                    "no such word: {}",
                    nearest::suggestion(unknown, &WORDS)
                ));
            }
        }
        Ok(())
    }

    /// Only backends with such a name, of those that other words mean.
    fn narrow(&mut self, names: &Names, fits: impl Fn(&Name) -> bool) -> Result<(), ()> {
        let fitting = names.iter().filter(|(_, name)| fits(name));
        let ids: HashSet<u32> = fitting.map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return Err(());
        }
        self.backends = Some(match self.backends.take() {
            Some(before) => &before & &ids,
            None => ids,
        });
        Ok(())
    }

    /// No flow can be meant.
    pub fn excludes_flows(&self) -> bool {
        self.mapping || self.state == Some(Stage::Is(State::Mapping))
    }

    /// No mapping can be meant.
    pub fn excludes_mappings(&self) -> bool {
        let of_flows = self
            .state
            .is_some_and(|state| state != Stage::Is(State::Mapping));
        self.backends.is_some() || of_flows
    }

    /// Whether a row may be meant, as far as one entry tells: the state takes both halves.
    pub fn suspects(&self, row: &Row) -> bool {
        let client = Ipv4Addr::from(row.client());
        let of_kind = match row {
            Row::Flow(flow) => !self.excludes_flows() && self.takes_flow(flow),
            Row::Mapping(_) => !self.excludes_mappings(),
        };
        of_kind
            && self.client.is_none_or(|net| net.contains(&client))
            && self.protocol.is_none_or(|number| number == row.protocol())
            && self
                .port
                .is_none_or(|port| ports(row).contains(&port.to_be_bytes()))
    }

    /// Whether a row is meant.
    pub fn takes(&self, row: &Row) -> bool {
        let at = match (self.state, row) {
            (None, _) => true,
            (Some(Stage::Is(state)), row) => row.state() == state,
            (Some(Stage::Assured), Row::Flow(flow)) => flow.established,
            (Some(Stage::Unreplied), Row::Flow(flow)) => !flow.replied(),
            (Some(_), Row::Mapping(_)) => false,
        };
        at && self.suspects(row)
    }

    fn takes_flow(&self, flow: &FlowRow) -> bool {
        let of_backend = |ids: &HashSet<u32>| !flow.nat && ids.contains(&flow.backend);
        (!self.nat || flow.nat) && self.backends.as_ref().is_none_or(of_backend)
    }
}

fn ports(row: &Row) -> [[u8; 2]; 4] {
    match row {
        Row::Flow(FlowRow { key, back, .. }) => [
            key.source_port,
            key.destination_port,
            back.source_port,
            back.destination_port,
        ],
        Row::Mapping(mapping) => {
            let (inside, outside) = (mapping.inside.port, mapping.outside.port);
            [inside, inside, outside, outside]
        }
    }
}

fn no(what: &str, pattern: &str, known: impl Iterator<Item = String>) -> String {
    let known: BTreeSet<String> = known.collect();
    format!(
        "no {what} is called {pattern}; there are: {}",
        listed(known.into_iter())
    )
}

fn prefix(text: &str) -> Result<Ipv4Net, String> {
    let address = text.parse::<Ipv4Addr>().map(Ipv4Net::from).ok();
    address
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "wanted an IPv4 address or prefix, as 192.168.1.0/24".to_owned())
}

fn protocol(text: &str) -> Result<u8, String> {
    let named = PROTOCOLS.iter().find(|(_, name)| *name == text);
    let names = PROTOCOLS.map(|(_, name)| name).join(", ");
    named
        .map(|(number, _)| *number)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| format!("wanted {names}, or a number from 0 to 255"))
}

fn stage(text: &str) -> Result<Stage, String> {
    let word = text.to_uppercase();
    match word.as_str() {
        "ASSURED" => Ok(Stage::Assured),
        "UNREPLIED" => Ok(Stage::Unreplied),
        word => {
            let known = State::ALL.iter().find(|(_, name)| *name == word);
            let names = State::ALL.map(|(_, name)| name).join(", ");
            known
                .map(|(state, _)| Stage::Is(*state))
                .ok_or_else(|| format!("there are: {names}, ASSURED"))
        }
    }
}

#[cfg(test)]
mod tests;
