//! One flow or mapping as the tables have it: what a filter is asked, and what a line is made of. Pure.
//!
//! A flow is its client side's entry; the backend side adds whether there was an answer, and what closes it.
#![forbid(unsafe_code)]

use crate::datapath::expiry::Timers;
use crate::datapath::flows::is_client_side;
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::nat::{End, Mapping};
use gwpool_common::net::{Port, V4};
use gwpool_ebpf::lifetime::{age, closed};
use gwpool_ebpf::pair::mate;
use gwpool_ebpf::parse::TCP;

/// Either of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A flow.
    Flow(FlowRow),
    /// A mapping.
    Mapping(MappingRow),
}

/// A flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// What the client sends.
    pub key: FlowKey<V4>,
    /// What it gets back, as the backend sends it.
    pub back: FlowKey<V4>,
    /// The backend's id.
    pub backend: u32,
    /// It is translated.
    pub nat: bool,
    /// It is established.
    pub established: bool,
    /// Flags of its client side.
    pub client: u8,
    /// Flags of its backend side.
    pub server: u8,
    /// The tick of its last packet.
    pub seen: u16,
}

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingRow {
    /// An inside host's socket.
    pub inside: End<V4>,
    /// What the outside sees.
    pub outside: End<V4>,
    /// The tick of its last packet.
    pub seen: u16,
}

/// What it is at, by conntrack's words where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// TCP: nobody has answered.
    SynSent,
    /// TCP: the backend has answered, the client not yet.
    SynRecv,
    /// Both sides have been heard.
    Established,
    /// TCP: the client has closed its side.
    FinWait,
    /// TCP: the backend has closed its side.
    CloseWait,
    /// TCP: both have.
    TimeWait,
    /// TCP: one side has reset it.
    Close,
    /// Not TCP: nobody has answered.
    Unreplied,
    /// Not TCP: answered, and no more.
    Replied,
    /// A mapping.
    Mapping,
}

impl State {
    /// All of them, and their words.
    pub const ALL: [(State, &str); 10] = [
        (State::SynSent, "SYN_SENT"),
        (State::SynRecv, "SYN_RECV"),
        (State::Established, "ESTABLISHED"),
        (State::FinWait, "FIN_WAIT"),
        (State::CloseWait, "CLOSE_WAIT"),
        (State::TimeWait, "TIME_WAIT"),
        (State::Close, "CLOSE"),
        (State::Unreplied, "UNREPLIED"),
        (State::Replied, "REPLIED"),
        (State::Mapping, "MAPPING"),
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(state, _)| *state == self);
        known.map_or("", |(_, name)| name)
    }
}

impl FlowRow {
    /// Of one half's entry.
    pub fn of_half(key: &FlowKey<V4>, flow: &Flow<V4>, established: bool) -> Self {
        let other = mate(key.protocol, &flow.rewrite);
        let is_client = is_client_side(flow);
        FlowRow {
            key: if is_client { *key } else { other },
            back: if is_client { other } else { *key },
            backend: flow.backend_id(),
            nat: flow.flags & Flow::<V4>::NAT != 0,
            established,
            client: if is_client { flow.flags } else { 0 },
            server: if is_client { 0 } else { flow.flags },
            seen: flow.seen,
        }
    }

    /// With what the other half says.
    pub fn joined(mut self, other: &FlowRow, now: u16) -> Self {
        self.client |= other.client;
        self.server |= other.server;
        if age(other.seen, now) < age(self.seen, now) {
            self.seen = other.seen;
        }
        self
    }

    /// The backend has answered.
    pub fn replied(&self) -> bool {
        self.established || self.server & Flow::<V4>::REPLIED != 0
    }

    /// What it is at.
    pub fn state(&self) -> State {
        let fin = |flags: u8| flags & Flow::<V4>::FIN != 0;
        let picked_up = self.client & Flow::<V4>::PICKED_UP != 0;
        match (self.key.protocol == TCP, self.established) {
            (true, true) if (self.client | self.server) & Flow::<V4>::RST != 0 => State::Close,
            (true, true) if closed(self.client, self.server) => State::TimeWait,
            (true, true) if fin(self.client) => State::FinWait,
            (true, true) if fin(self.server) => State::CloseWait,
            (_, true) => State::Established,
            // In the middle of a connection: there was a handshake, though nobody here has seen it.
            (true, false) if picked_up => State::Established,
            (true, false) if self.replied() => State::SynRecv,
            (true, false) => State::SynSent,
            (false, false) if self.replied() => State::Replied,
            (false, false) => State::Unreplied,
        }
    }

    /// Ticks until it is over, if nothing more comes.
    fn left(&self, timers: &Timers, now: u16) -> u16 {
        let protocol = self.key.protocol;
        let limit = if self.established {
            timers.limit(protocol, closed(self.client, self.server), self.backend)
        } else {
            timers.waits(protocol, self.backend)
        };
        limit.saturating_sub(age(self.seen, now))
    }
}

impl MappingRow {
    /// Of its inside entry.
    pub fn of(inside: &End<V4>, mapping: &Mapping<V4>) -> Self {
        MappingRow {
            inside: *inside,
            outside: End {
                address: mapping.address,
                port: mapping.port,
                protocol: inside.protocol,
                side: End::<V4>::OUTSIDE,
            },
            seen: mapping.seen,
        }
    }
}

impl Row {
    /// IP protocol.
    pub fn protocol(&self) -> u8 {
        match self {
            Row::Flow(flow) => flow.key.protocol,
            Row::Mapping(mapping) => mapping.inside.protocol,
        }
    }

    /// What it is at.
    pub fn state(&self) -> State {
        match self {
            Row::Flow(flow) => flow.state(),
            Row::Mapping(_) => State::Mapping,
        }
    }

    /// Whose it is: the client's or the inside host's address.
    pub fn client(&self) -> V4 {
        match self {
            Row::Flow(flow) => flow.key.source,
            Row::Mapping(mapping) => mapping.inside.address,
        }
    }

    /// Where what comes back comes from and goes: another one on the same key is another flow or mapping.
    pub fn way(&self) -> [(V4, Port); 2] {
        match self {
            Row::Flow(FlowRow { back, .. }) => [
                (back.source, back.source_port),
                (back.destination, back.destination_port),
            ],
            Row::Mapping(MappingRow { outside, .. }) => [(outside.address, outside.port); 2],
        }
    }

    /// Seconds until it is over, if nothing more comes. A mapping with 0 is held by a flow that has been silent.
    pub fn seconds(&self, timers: &Timers, now: u16) -> u32 {
        timers.seconds(match self {
            Row::Flow(flow) => flow.left(timers, now),
            Row::Mapping(mapping) => timers
                .mapping(mapping.inside.protocol)
                .saturating_sub(age(mapping.seen, now)),
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
