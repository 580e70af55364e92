//! A flow or mapping as people and programs read it: a line like `conntrack -L`'s, or an object. Pure.
//!
//! ```text
//! tcp      6 431999 ESTABLISHED src=C dst=L sport=p dport=q src=B dst=G sport=r dport=s [ASSURED] route=R backend=B
//! udp      17 118 src=I dst=O sport=p dport=q [UNREPLIED] src=O dst=N sport=q dport=p nat
//! udp      17 118 MAPPING src=I sport=p nat=N port=n
//! ```
//! First what the client sends, then what it gets back. The object goes from the daemon to the command line, which makes
//! the line of it.
#![forbid(unsafe_code)]

use super::row::{FlowRow, MappingRow, Row, State};
use crate::datapath::expiry::Timers;
use gwpool_common::flow::FlowKey;
use gwpool_common::net::V4;
use gwpool_ebpf::parse::{ICMP, TCP, UDP};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// Protocols that have a name here.
pub const PROTOCOLS: [(u8, &str); 5] = [
    (ICMP, "icmp"),
    (TCP, "tcp"),
    (UDP, "udp"),
    (47, "gre"),
    (132, "sctp"),
];

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `new`, `update` or `end`, where changes were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The protocol's name; `unknown` if it has none here.
    pub protocol: String,
    /// Its number.
    pub number: u8,
    /// Seconds until it is over, if nothing more comes.
    pub seconds: u32,
    /// What it is at.
    pub state: String,
    /// The rest.
    #[serde(flatten)]
    pub kind: Kind,
}

/// A flow or a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// A flow.
    Flow(Flow),
    /// A mapping.
    Mapping(Mapping),
}

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// What the client sends.
    pub client: Tuple,
    /// What it gets back, as it comes in here.
    pub reply: Tuple,
    /// The other side has answered.
    pub replied: bool,
    /// Nothing evicts it.
    pub assured: bool,
    /// It is translated for an inside host.
    pub nat: bool,
    /// Else its route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// And its backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
}

/// Where a packet comes from and goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuple {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Source port; of ICMP the identifier; else 0.
    pub source_port: u16,
    /// Destination port, likewise.
    pub destination_port: u16,
}

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The inside host.
    pub source: Ipv4Addr,
    /// Its port, or identifier.
    pub source_port: u16,
    /// The NAT address.
    pub nat_address: Ipv4Addr,
    /// Its port, or identifier.
    pub nat_port: u16,
}

/// Of whom a flow is: route and backend.
pub type Name = (Option<String>, String);

impl Entry {
    /// Of a row. `name`: of its backend, if it has one.
    pub fn of(row: &Row, name: Option<&Name>, timers: &Timers, now: u16) -> Self {
        let number = row.protocol();
        let known = PROTOCOLS.iter().find(|(known, _)| *known == number);
        Entry {
            event: None,
            protocol: known.map_or("unknown", |(_, name)| name).to_owned(),
            number,
            seconds: row.seconds(timers, now),
            state: row.state().name().to_owned(),
            kind: match row {
                Row::Flow(row) => Kind::Flow(flow(row, name)),
                Row::Mapping(row) => Kind::Mapping(mapping(row)),
            },
        }
    }
}

fn flow(row: &FlowRow, name: Option<&Name>) -> Flow {
    let name = name.filter(|_| !row.nat);
    Flow {
        client: Tuple::of(&row.key),
        reply: Tuple::of(&row.back),
        replied: row.replied(),
        assured: row.established,
        nat: row.nat,
        route: name.and_then(|(route, _)| route.clone()),
        backend: name.map(|(_, backend)| backend.clone()),
    }
}

fn mapping(row: &MappingRow) -> Mapping {
    Mapping {
        source: row.inside.address.into(),
        source_port: u16::from_be_bytes(row.inside.port),
        nat_address: row.outside.address.into(),
        nat_port: u16::from_be_bytes(row.outside.port),
    }
}

impl Tuple {
    fn of(key: &FlowKey<V4>) -> Self {
        Tuple {
            source: key.source.into(),
            destination: key.destination.into(),
            source_port: u16::from_be_bytes(key.source_port),
            destination_port: u16::from_be_bytes(key.destination_port),
        }
    }

    fn write(&self, out: &mut fmt::Formatter<'_>, protocol: u8) -> fmt::Result {
        let Tuple {
            source,
            destination,
            source_port,
            destination_port,
        } = self;
        write!(out, "src={source} dst={destination} ")?;
        match protocol {
            TCP | UDP => write!(out, "sport={source_port} dport={destination_port} "),
            // A query has its identifier in the one, its answer in the other.
            ICMP => write!(out, "id={} ", source_port | destination_port),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = &self.event {
            let word = match event.as_str() {
                "new" => "[NEW]",
                "update" => "[UPDATE]",
                _ => "[DESTROY]",
            };
            write!(out, "{word:>9} ")?;
        }
        write!(
            out,
            "{:<8} {} {} ",
            self.protocol, self.number, self.seconds
        )?;
        match &self.kind {
            Kind::Flow(flow) => {
                if self.number == TCP {
                    write!(out, "{} ", self.state)?;
                }
                flow.write(out, self.number)
            }
            Kind::Mapping(mapping) => {
                let Mapping {
                    source,
                    source_port,
                    nat_address,
                    nat_port,
                } = mapping;
                write!(
                    out,
                    "{} src={source} sport={source_port} nat={nat_address} port={nat_port}",
                    State::Mapping.name()
                )
            }
        }
    }
}

impl Flow {
    fn write(&self, out: &mut fmt::Formatter<'_>, protocol: u8) -> fmt::Result {
        self.client.write(out, protocol)?;
        if !self.replied {
            write!(out, "[UNREPLIED] ")?;
        }
        self.reply.write(out, protocol)?;
        if self.assured {
            write!(out, "[ASSURED] ")?;
        }
        match (self.nat, &self.route, &self.backend) {
            (true, ..) => write!(out, "nat"),
            (false, Some(route), Some(backend)) => write!(out, "route={route} backend={backend}"),
            (false, _, Some(backend)) => write!(out, "backend={backend}"),
            (false, ..) => write!(out, "backend=unknown"),
        }
    }
}

#[cfg(test)]
mod tests;
