//! The world as ordered maps: what the kernel's tables and routing answer, without a kernel.
//!
//! It is filled by the same writes as the maps ([`Image`]), its flow tables by packets alone. Its routing knows the
//! connected prefixes and the default gateways of the [`Host`] it stands on, and the neighbours listed there.

// Said, because the mutants' judges take this file by its path.
#[path = "model/translation.rs"]
mod translation;

use crate::routing;
use gwpool_common::answers::Answers;
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::limits::{self, Settings};
use gwpool_common::nat::{End, Mapped, Mapping, Permission};
use gwpool_common::net::{Address, Network, NextHop, V4};
use gwpool_common::reason::Reason;
use gwpool_common::route::{Access, Backend, Counters, Listener, Listening, Load, Route, Source};
use gwpool_ebpf::Verdict;
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::opening::{self, Opening};
use gwpool_ebpf::packet::Packet;
use gwpool_ebpf::world::{Lookup, Refused, Side, Step, Task, Way, World};
use gwpool_user::host::Host;
use gwpool_user::plan::Image;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The model of one host's tables.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What the daemon has written.
    pub image: Image,
    /// What the routing answers from.
    pub host: Host,
    /// The established tier.
    pub established: BTreeMap<FlowKey<V4>, Flow<V4>>,
    /// The embryonic tier.
    pub embryonic: BTreeMap<FlowKey<V4>, Embryo<V4>>,
    /// Entries the established tier holds.
    pub capacity: usize,
    /// Cursors by route id.
    pub turns: BTreeMap<u32, u64>,
    /// Next hops by index.
    pub next_hops: BTreeMap<u16, NextHop>,
    /// By backend id.
    pub counters: BTreeMap<u32, Counters>,
    /// What first fragments have said.
    pub fragments: BTreeMap<Fragmented<V4>, First>,
    /// Frames that wait for their first fragment, with the interface they came in by.
    pub held: Vec<(u32, Vec<u8>)>,
    /// Live flows by backend id.
    pub loads: BTreeMap<u32, Load>,
    /// Established flows by protocol.
    pub shares: BTreeMap<u8, Load>,
    /// Established flows by client.
    pub sources: BTreeMap<V4, Source>,
    /// Inside hosts' sockets and what they are seen as.
    pub mappings: BTreeMap<End<V4>, Mapping<V4>>,
    /// Which ports are taken or reserved.
    pub ports: BTreeMap<u32, u64>,
    /// Which are reserved.
    pub reserved: BTreeMap<u32, u64>,
    /// To whom mappings have sent, and when.
    pub permissions: BTreeMap<Permission<V4>, u16>,
    /// Mappings by inside host.
    pub subscribers: BTreeMap<V4, Source>,
    /// What the log was told.
    pub logged: Vec<Mapped<V4>>,
    /// The flow that the packet under way wants opened.
    pub opening: Option<Opening<V4>>,
    /// What became of it.
    pub opened: Option<Result<(), Reason>>,
    /// What was made of the limiter's one CPU.
    pub answers: Answers,
    /// The MTU that the packet under way is larger than.
    pub mtu: u16,
    /// The interface of the packet under way.
    pub interface: u32,
    /// Whether it is at TC.
    pub resolves: bool,
    /// Another CPU: how many inserts from now it acts, and what it does with the key we are about to insert.
    pub rival: Option<(u32, Rival)>,
}

/// What another CPU does between two steps of ours.
pub type Rival = fn(&mut Model, &FlowKey<V4>);

impl World<Ipv4> for Model {
    type Established = FlowKey<V4>;
    type Embryonic = FlowKey<V4>;

    fn now(&self) -> u16 {
        self.image.settings.tick_shift as u16
    }

    fn settings(&self) -> &Settings {
        &self.image.settings
    }

    fn interface(&self) -> u32 {
        self.interface
    }

    fn resolves(&self) -> bool {
        self.resolves
    }

    fn established(&mut self, key: &FlowKey<V4>) -> Option<FlowKey<V4>> {
        self.established.contains_key(key).then_some(*key)
    }

    fn flow(&self, at: FlowKey<V4>) -> Flow<V4> {
        self.established[&at]
    }

    fn mark(&mut self, at: FlowKey<V4>, flow: &Flow<V4>) {
        if let Some(entry) = self.established.get_mut(&at) {
            (entry.flags, entry.next_hop, entry.seen) = (flow.flags, flow.next_hop, flow.seen);
        }
    }

    fn establish(&mut self, key: &FlowKey<V4>, flow: &Flow<V4>) -> Result<(), Refused> {
        self.meet_rival(key);
        if self.established.contains_key(key) {
            return Err(Refused::Taken);
        }
        if self.established.len() >= self.capacity {
            return Err(Refused::Full);
        }
        self.established.insert(*key, *flow);
        Ok(())
    }

    fn retire(&mut self, key: &FlowKey<V4>) {
        self.established.remove(key);
    }

    fn embryonic(&mut self, key: &FlowKey<V4>) -> Option<FlowKey<V4>> {
        self.embryonic.contains_key(key).then_some(*key)
    }

    fn embryo(&self, at: FlowKey<V4>) -> Embryo<V4> {
        self.embryonic[&at]
    }

    fn mark_embryo(&mut self, at: FlowKey<V4>, embryo: &Embryo<V4>) {
        let (flow, proof) = (&embryo.flow, embryo.proof);
        if let Some(entry) = self.embryonic.get_mut(&at) {
            entry.proof = proof;
            let entry = &mut entry.flow;
            (entry.flags, entry.next_hop, entry.seen) = (flow.flags, flow.next_hop, flow.seen);
        }
    }

    fn conceive(&mut self, key: &FlowKey<V4>, embryo: &Embryo<V4>) -> Result<(), Refused> {
        self.meet_rival(key);
        if self.embryonic.contains_key(key) {
            return Err(Refused::Taken);
        }
        self.embryonic.insert(*key, *embryo);
        Ok(())
    }

    fn forget(&mut self, key: &FlowKey<V4>) {
        self.embryonic.remove(key);
    }

    fn first(&self, packet: &Fragmented<V4>) -> Option<First> {
        self.fragments.get(packet).copied()
    }

    fn remember(&mut self, packet: &Fragmented<V4>, first: &First) {
        self.fragments.insert(*packet, *first);
    }

    fn hold<P: Packet>(&mut self, packet: &mut P) -> bool {
        let mut frame = [0; limits::HELD_FRAME_BYTES];
        let copied = packet.copy(&mut frame);
        if copied {
            let bytes = frame[..packet.length()].to_vec();
            self.held.push((self.interface, bytes));
        }
        copied
    }

    fn flow_ports(&self, index: u32) -> u64 {
        self.image.flow_ports.get(&index).copied().unwrap_or(0)
    }

    fn address(&self, address: &V4) -> Option<Address> {
        self.image.addresses.get(address).copied()
    }

    fn network(&self, index: u32) -> Option<Network<V4>> {
        let written = self.image.networks.get(index as usize).copied();
        (index < limits::NETWORKS).then_some(written.unwrap_or_default())
    }

    fn listener(&self, listener: &Listener<V4>) -> Option<Listening> {
        self.image.listeners.get(listener).copied()
    }

    fn route(&self, id: u32) -> Option<Route> {
        self.image.routes.get(&id).copied()
    }

    fn turn(&mut self, route: u32) -> u64 {
        let cursor = self.turns.entry(route).or_default();
        *cursor += 1;
        *cursor - 1
    }

    fn slot(&self, slot: u32) -> Option<u32> {
        self.image.slots.get(slot as usize).copied()
    }

    fn backend(&self, id: u32) -> Option<Backend<V4>> {
        self.image.backends.get(&id).copied()
    }

    fn access(&self, client: &Access<V4>, otherwise: u32) -> u32 {
        let said = self.image.access(client.route, client.prefix.into());
        said.map_or(otherwise, u32::from)
    }

    fn load(&self, backend: u32) -> Load {
        self.loads.get(&backend).copied().unwrap_or_default()
    }

    fn share(&self, protocol: u8) -> Load {
        self.shares.get(&protocol).copied().unwrap_or_default()
    }

    fn source(&self, address: &V4) -> Source {
        self.sources.get(address).copied().unwrap_or_default()
    }

    fn move_load(&mut self, backend: u32, by: Step) {
        moved(&mut self.loads.entry(backend).or_default().moved, by);
    }

    fn move_share(&mut self, protocol: u8, client: &V4, by: Step) {
        moved(&mut self.shares.entry(protocol).or_default().moved, by);
        let now = u32::from(self.now());
        if by == Step::Down {
            if let Some(source) = self.sources.get_mut(client) {
                source.moved = source.moved.wrapping_sub(1);
            }
            return;
        }
        let source = self.sources.entry(*client).or_default();
        source.moved = source.moved.wrapping_add(1);
        source.fresh = if source.tick == now { source.fresh } else { 0 } + 1;
        source.tick = now;
    }

    fn exhaust(&mut self, backend: u32) {
        self.loads.entry(backend).or_default().exhausted =
            1 + u64::from(self.image.settings.tick_shift as u16);
    }

    fn sent_on(&self) -> bool {
        false
    }

    fn open(&mut self, opening: &Opening<V4>) -> Result<(), Reason> {
        match self.opened.take() {
            None => {
                self.opening = Some(*opening);
                Ok(())
            }
            Some(Ok(())) => Err(Reason::Overtaken),
            Some(Err(reason)) => Err(reason),
        }
    }

    fn repeat<T: Task<Self>>(&mut self, count: u32, task: &mut T) {
        let _ = (0..count).any(|index| task.turn(self, index));
    }

    fn lookup(&mut self, question: &Lookup<V4>) -> Result<Way<V4>, Reason> {
        let (_, by) = self
            .host
            .link_by_index(self.interface)
            .ok_or(Reason::NoRoute)?;
        if !by.forwarding {
            return Err(Reason::ForwardingDisabled);
        }
        let (way, mtu) = routing::to(
            &self.host,
            &self.image.interfaces,
            Ipv4Addr::from(question.destination),
        )?;
        if u32::from(question.length) > mtu {
            self.mtu = mtu as u16;
            return Err(Reason::TooBig);
        }
        Ok(way)
    }

    fn next_hop(&self, index: u16) -> Option<NextHop> {
        Some(self.next_hops.get(&index).copied().unwrap_or_default())
    }

    fn claim_next_hop(&mut self, index: u16, hop: &NextHop) -> bool {
        let free = !self.next_hops.contains_key(&index);
        if free {
            self.next_hops.insert(
                index,
                NextHop {
                    state: NextHop::VALID,
                    ..*hop
                },
            );
        }
        free
    }

    fn confirm_next_hop(&mut self, index: u16, epoch: u32) {
        if let Some(hop) = self.next_hops.get_mut(&index) {
            hop.epoch = epoch;
        }
    }

    fn limit(&mut self, mtu: u16) {
        self.mtu = mtu;
    }

    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn answers(&mut self) -> Option<&mut Answers> {
        Some(&mut self.answers)
    }

    fn count_connection(&mut self, backend: u32) {
        self.counters.entry(backend).or_default().connections += 1;
    }

    fn count_redispatch(&mut self, backend: u32) {
        self.counters.entry(backend).or_default().redispatches += 1;
    }

    fn count_carried(&mut self, backend: u32, from: Side, packets: u32, bytes: u32) {
        let counters = self.counters.entry(backend).or_default();
        let (packet_count, byte_count) = match from {
            Side::Client => (
                &mut counters.to_backend_packets,
                &mut counters.to_backend_bytes,
            ),
            Side::Backend => (
                &mut counters.to_client_packets,
                &mut counters.to_client_bytes,
            ),
        };
        *packet_count += u64::from(packets);
        *byte_count += u64::from(bytes);
    }
}

fn moved(count: &mut u64, by: Step) {
    *count = match by {
        Step::Up => count.wrapping_add(1),
        Step::Down => count.wrapping_sub(1),
    };
}

impl Model {
    /// Walks a packet as the programs do: once, or twice with a flow opened in between.
    pub fn walk<P: Packet>(
        &mut self,
        packet: &mut P,
        walk: fn(&mut P, &mut Model) -> Result<Verdict<V4>, Reason>,
    ) -> Result<Verdict<V4>, Reason> {
        (self.opening, self.opened) = (None, None);
        let verdict = walk(packet, self);
        let Some(opening) = self.opening.take() else {
            return verdict;
        };
        self.opened = Some(opening::open::<Ipv4, Model>(self, &opening));
        walk(packet, self)
    }

    fn meet_rival(&mut self, key: &FlowKey<V4>) {
        match &mut self.rival {
            Some((0, acts)) => {
                let acts = *acts;
                self.rival = None;
                acts(self, key);
            }
            Some((wait, _)) => *wait -= 1,
            None => {}
        }
    }
}
