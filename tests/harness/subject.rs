//! What packets are run on: the model here, the loaded programs in `kernel.rs`. A case asks both the same.

use crate::bed;
use crate::model::{Model, Rival};
use anyhow::{Context, Result};
use gwpool_common::answers::Answers;
use gwpool_common::flow::{Embryo, Flow, FlowKey};
use gwpool_common::fragment::{First, Fragmented};
use gwpool_common::nat::{End, Mapping, Permission};
use gwpool_common::net::V4;
use gwpool_common::reason::{Fate, Reason};
use gwpool_common::route::Counters;
use gwpool_ebpf::packet::Frame;
use gwpool_ebpf::{Verdict, answer, egress, ingress, pool};
use gwpool_user::host::Host;
use gwpool_user::plan::{self, Image, MapWrite, Plan, reserved};
use std::collections::BTreeMap;

/// Where a packet meets a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// `gwpool_xdp`.
    Xdp,
    /// `gwpool_ingress`.
    Tc,
    /// `gwpool_egress`.
    Egress,
}

/// What the program did with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// On to the stack, or out as it is.
    Pass,
    /// Gone.
    Drop,
    /// Sent.
    Send,
    /// Left for TC to finish.
    Unfinished,
}

/// Everything that can be seen of a subject's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The established tier.
    pub established: BTreeMap<FlowKey<V4>, Flow<V4>>,
    /// The embryonic tier.
    pub embryonic: BTreeMap<FlowKey<V4>, Embryo<V4>>,
    /// Live flows by backend id, those that are not zero.
    pub loads: BTreeMap<u32, u64>,
    /// Established flows by client, those that are not zero.
    pub sources: BTreeMap<V4, u32>,
    /// By backend id, those that are not zero.
    pub counters: BTreeMap<u32, Counters>,
    /// Inside hosts' sockets and what they are seen as.
    pub mappings: BTreeMap<End<V4>, Mapping<V4>>,
    /// To whom mappings have sent, and when.
    pub permissions: BTreeMap<Permission<V4>, u32>,
    /// Mappings by inside host, those that are not zero.
    pub subscribers: BTreeMap<V4, u32>,
    /// What first fragments have said.
    pub fragments: BTreeMap<Fragmented<V4>, First>,
    /// Frames given to the daemon, with the interface they came in by.
    pub held: Vec<(u32, Vec<u8>)>,
    /// By name, those that are not zero.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Of the CPU that packets are run on.
    pub answers: Answers,
}

/// Something that packets can be run on.
pub trait Subject {
    /// Runs one frame; what becomes of it and its bytes afterwards.
    fn run(&mut self, hook: Hook, interface: u32, frame: &[u8]) -> Result<(Action, Vec<u8>)>;
    /// The configuration as it was written.
    fn image(&self) -> &Image;
    /// Writes one entry.
    fn write(&mut self, write: &MapWrite) -> Result<()>;
    /// Sets the interface's `forwarding`.
    fn forwarding(&mut self, interface: &str, on: bool) -> Result<()>;
    /// The state now.
    fn state(&self) -> Result<State>;

    /// Writes a word of `PORTS` and of `RESERVED`.
    fn word(&mut self, index: u32, word: u64) -> Result<()>;

    /// Lays `plan` on `host`, as the daemon does; the clock stands at 1000 ticks.
    fn fill(&mut self, plan: &Plan, host: &Host) -> Result<()> {
        let difference = plan::diff(self.image(), plan, host)?;
        for write in &difference.writes {
            self.write(write)?;
        }
        self.reserve(plan)?;
        self.clock(1000)
    }

    /// Sets the ports that are never given out.
    fn reserve(&mut self, plan: &Plan) -> Result<()> {
        let nat = self.image().nat;
        for (address, place) in nat.addresses.iter().zip(0..nat.address_count) {
            for protocol in pool::PROTOCOLS {
                let ports = reserved::words(plan, *address, protocol);
                let first = pool::place(protocol).map(|protocol| pool::words(place, protocol));
                let first = first.context("a protocol with ports")?;
                let full = reserved::full(&ports);
                for (index, word) in (first..).zip(ports.into_iter().chain(full)) {
                    self.word(index, word)?;
                }
            }
        }
        Ok(())
    }

    /// Sets the answers that may be made in one tick.
    fn answers(&mut self, per_tick: u32) -> Result<()> {
        let settings = gwpool_common::limits::Settings {
            answers_per_tick: per_tick,
            ..self.image().settings
        };
        self.write(&MapWrite::Settings(settings))
    }

    /// Sets the clock, in ticks.
    fn clock(&mut self, tick: u32) -> Result<()> {
        let settings = gwpool_common::limits::Settings {
            tick_shift: tick,
            ..self.image().settings
        };
        self.write(&MapWrite::Settings(settings))
    }
}

/// The pipeline on the host, over the model.
pub struct OnHost {
    /// Frames come in with their TCP or UDP checksum left to whoever sends them on (veth, virtio).
    pub partial: bool,
    model: Model,
    reasons: BTreeMap<&'static str, u64>,
}

impl OnHost {
    /// An empty model of `host`, whose established tier holds `flows` flows.
    pub fn new(host: &Host, flows: u32) -> OnHost {
        let capacity = 2 * flows as usize;
        let model = Model {
            host: host.clone(),
            capacity,
            ..Model::default()
        };
        OnHost {
            partial: false,
            model,
            reasons: BTreeMap::new(),
        }
    }

    /// Another CPU acts before the insert after the next `wait` ones.
    pub fn rival(&mut self, wait: u32, acts: Rival) {
        self.model.rival = Some((wait, acts));
    }

    fn count(&mut self, reason: Reason) {
        *self.reasons.entry(reason.name()).or_default() += 1;
    }
}

impl Subject for OnHost {
    fn run(&mut self, hook: Hook, interface: u32, frame: &[u8]) -> Result<(Action, Vec<u8>)> {
        let mut bytes = frame.to_vec();
        self.model.interface = interface;
        self.model.resolves = hook != Hook::Xdp;
        self.model.mtu = 0;
        let mut packet = Frame::new(&mut bytes);
        packet.partial = self.partial;
        let verdict = match hook {
            Hook::Egress => self.model.walk(&mut packet, egress),
            Hook::Xdp | Hook::Tc => self.model.walk(&mut packet, ingress),
        };
        let action = match verdict {
            Ok(Verdict::Transmit(reason, _) | Verdict::Resolve(reason, ..)) => {
                self.count(reason);
                Action::Send
            }
            Ok(Verdict::Answer(reason, word)) => {
                self.count(reason);
                match answer::make(&mut packet, &mut self.model, word) {
                    Ok(()) => Action::Send,
                    Err(_) => Action::Drop,
                }
            }
            Ok(Verdict::Deliver(reason)) => {
                self.count(reason);
                Action::Pass
            }
            Ok(Verdict::Unfinished | Verdict::Opens) => Action::Unfinished,
            Err(reason) => {
                let dropped = reason.fate() == Fate::Dropped;
                if hook != Hook::Egress || dropped {
                    self.count(reason);
                }
                if dropped { Action::Drop } else { Action::Pass }
            }
        };
        Ok((action, bytes))
    }

    fn image(&self) -> &Image {
        &self.model.image
    }

    fn word(&mut self, index: u32, word: u64) -> Result<()> {
        self.model.ports.insert(index, word);
        self.model.reserved.insert(index, word);
        Ok(())
    }

    fn write(&mut self, write: &MapWrite) -> Result<()> {
        self.model.image.apply(write);
        Ok(())
    }

    fn forwarding(&mut self, interface: &str, on: bool) -> Result<()> {
        let link = self.model.host.links.get_mut(interface);
        link.context("no such link")?.forwarding = on;
        Ok(())
    }

    fn state(&self) -> Result<State> {
        Ok(State {
            established: self.model.established.clone(),
            embryonic: self.model.embryonic.clone(),
            loads: self
                .model
                .loads
                .iter()
                .map(|(id, load)| (*id, load.flows()))
                .filter(|(_, flows)| *flows != 0)
                .collect(),
            sources: self
                .model
                .sources
                .iter()
                .map(|(client, source)| (*client, source.flows()))
                .filter(|(_, flows)| *flows != 0)
                .collect(),
            counters: self.model.counters.clone(),
            mappings: self.model.mappings.clone(),
            permissions: (self.model.permissions.iter())
                .map(|(permission, seen)| (*permission, u32::from(*seen)))
                .collect(),
            subscribers: (self.model.subscribers.iter())
                .map(|(host, held)| (*host, held.flows()))
                .filter(|(_, held)| *held != 0)
                .collect(),
            fragments: self.model.fragments.clone(),
            held: self.model.held.clone(),
            reasons: self.reasons.clone(),
            answers: self.model.answers,
        })
    }
}

/// A new model of the usual host, filled with the world's plan.
pub fn on_host(world: &str, local_ports: (u16, u16), flows: Option<u32>) -> Result<OnHost> {
    let (host, plan) = (bed::host(local_ports), bed::plan(world, flows)?);
    let mut subject = OnHost::new(&host, plan.limits.flows);
    subject.fill(&plan, &host)?;
    Ok(subject)
}
