//! The loaded programs, run by `BPF_PROG_TEST_RUN` in the bed's namespace: the same packets as on the host.
//!
//! The object is the one that `cargo xtask` built (`GWPOOL_BPF_OBJ`), its clock stopped. Nothing is attached or
//! pinned: it all goes with the process.

use crate::bed;
use crate::subject::{Action, Hook, State, Subject};
use anyhow::{Context, Result, anyhow, bail};
use aya::maps::PerCpuValues;
use aya::programs::{Program, TestRun, TestRunOptions, TestRunResult, XdpMode};
use gwpool_common::answers::Answers;
use gwpool_common::net::NextHop;
use gwpool_common::route::{Counters, Load};
use gwpool_user::datapath::Datapath;
use gwpool_user::fragments::driver::Held;
use gwpool_user::plan::{Image, Limits, MapWrite};
use std::time::Duration;

/// The object's bytes.
pub fn object() -> Result<Vec<u8>> {
    let path = std::env::var("GWPOOL_BPF_OBJ")
        .context("GWPOOL_BPF_OBJ is not set: use `cargo xtask test kernel`")?;
    std::fs::read(&path).with_context(|| format!("the object {path}"))
}

/// The programs in the kernel.
pub struct InKernel {
    pub(crate) datapath: Datapath,
    pub(crate) image: Image,
    /// What the programs have put into the ring buffer.
    held: Vec<(u32, Vec<u8>)>,
}

impl InKernel {
    /// Loads the object with tables of these sizes.
    pub fn new(limits: &Limits) -> Result<InKernel> {
        let mut datapath = Datapath::load_stopped(&object()?, limits)?;
        // The kernel lends XDP only a queue that an XDP program has been attached to (xdp_convert_md_to_buff).
        for name in bed::names() {
            let clock = datapath.xdp("gwpool_clock")?;
            clock
                .attach(name, XdpMode::Driver)
                .with_context(|| format!("XDP on {name}"))?;
        }
        Ok(InKernel {
            image: datapath.installed()?,
            datapath,
            held: Vec::new(),
        })
    }

    /// The data plane, and its configuration as it was written.
    pub fn parts(&mut self) -> (&mut Datapath, &Image) {
        (&mut self.datapath, &self.image)
    }

    /// Runs a program once; its return value and what it left of the frame.
    fn test_run(&self, name: &str, interface: u32, frame: &[u8]) -> Result<(u32, Vec<u8>)> {
        let mut out = vec![0u8; frame.len() + 64];
        let mut options = TestRunOptions::new();
        options.data_out = Some(&mut out);
        let result = self.with(name, interface, frame, options)?;
        out.truncate(result.data_size_out as usize);
        Ok((result.return_value, out))
    }

    /// Runs a program so often on a frame, each time on what the run before left of it; the mean of a run.
    pub fn timed(&self, name: &str, interface: u32, frame: &[u8], repeat: u32) -> Result<Duration> {
        let mut options = TestRunOptions::new();
        options.repeat = repeat;
        Ok(self.with(name, interface, frame, options)?.duration)
    }

    fn with(
        &self,
        name: &str,
        interface: u32,
        frame: &[u8],
        options: TestRunOptions<'_>,
    ) -> Result<TestRunResult> {
        let program = self.datapath.program(name)?;
        let context = context(program, (0, interface), frame.len())?;
        let mut options = options;
        options.data_in = Some(frame);
        options.ctx_in = Some(&context);
        let result = match program {
            Program::Xdp(program) => program.test_run(options),
            Program::SchedClassifier(program) => program.test_run(options),
            _ => bail!("{name} is neither XDP nor TC"),
        };
        result.with_context(|| format!("running {name} on {} bytes", frame.len()))
    }
}

/// The context that says which interface the packet has come in by (at egress; 0: it was made here) and which it is on
/// (linux/bpf.h: `struct xdp_md`, `struct __sk_buff`).
pub fn context(
    program: &Program,
    (came_in_by, interface): (u32, u32),
    length: usize,
) -> Result<Vec<u8>> {
    let words: Vec<u32> = match program {
        // data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
        Program::Xdp(_) => vec![0, u32::try_from(length)?, 0, interface, 0, 0],
        // len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
        // ingress_ifindex, ifindex; what follows is taken as zero
        _ => vec![0, 0, 0, 0, 0, 0, 0, 0, 0, came_in_by, interface],
    };
    Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
}

impl Subject for InKernel {
    fn run(&mut self, hook: Hook, interface: u32, frame: &[u8]) -> Result<(Action, Vec<u8>)> {
        let name = match hook {
            Hook::Xdp => "gwpool_xdp",
            Hook::Tc => "gwpool_ingress",
            Hook::Egress => "gwpool_egress",
        };
        let (verdict, mut bytes) = self.test_run(name, interface, frame)?;
        let ring = self.datapath.maps.held.as_mut();
        let ring = ring.context("HELD is taken")?;
        while let Some(entry) = ring.next() {
            let held = Held::read(&entry).context("half an entry in HELD")?;
            self.held.push((held.interface, held.frame.to_vec()));
        }
        let marked = bytes.len() == frame.len() + 4;
        // linux/bpf.h: enum xdp_action; linux/pkt_cls.h: TC_ACT_UNSPEC, _SHOT, _REDIRECT
        let action = match (hook, verdict as i32) {
            (Hook::Xdp, 1) | (Hook::Tc | Hook::Egress, 2) => Action::Drop,
            (Hook::Xdp, 2) if marked => Action::Unfinished,
            (Hook::Xdp, 2) | (Hook::Tc | Hook::Egress, -1) => Action::Pass,
            (Hook::Xdp, 3 | 4) | (Hook::Tc | Hook::Egress, 7) => Action::Send,
            (hook, other) => bail!("{hook:?} returned {other}"),
        };
        if action == Action::Unfinished {
            // The mark stands before the packet.
            bytes.drain(..4);
        }
        Ok((action, bytes))
    }

    fn image(&self) -> &Image {
        &self.image
    }

    fn word(&mut self, index: u32, word: u64) -> Result<()> {
        self.datapath.maps.ports.set(index, word, 0)?;
        Ok(self.datapath.maps.reserved.set(index, word, 0)?)
    }

    fn write(&mut self, write: &MapWrite) -> Result<()> {
        self.datapath.apply(std::slice::from_ref(write))?;
        self.image.apply(write);
        Ok(())
    }

    fn forwarding(&mut self, interface: &str, on: bool) -> Result<()> {
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/forwarding");
        std::fs::write(&path, if on { "1" } else { "0" }).context(path)
    }

    fn state(&self) -> Result<State> {
        let maps = &self.datapath.maps;
        let flows = &self.datapath.flows;
        let established = flows.established.all().into_iter();
        let established = established.map(|(key, embryo)| (key, embryo.flow));
        let mut state = State {
            established: established.collect(),
            embryonic: flows.embryonic.all().into_iter().collect(),
            fragments: maps.fragments.iter().collect::<Result<_, _>>()?,
            mappings: maps.mappings.iter().collect::<Result<_, _>>()?,
            permissions: maps.permissions.iter().collect::<Result<_, _>>()?,
            held: self.held.clone(),
            ..State::default()
        };
        // Id 0 is translation.
        for id in self.image.backends.keys().chain([&0]) {
            let sum = self.datapath.counters(*id)?;
            if sum != Counters::default() {
                state.counters.insert(*id, sum);
            }
            let load = maps.loads.get(id, 0)?.flows();
            if load != 0 {
                state.loads.insert(*id, load);
            }
        }
        for entry in maps.sources.iter() {
            let (client, source) = entry?;
            if source.flows() != 0 {
                state.sources.insert(client, source.flows());
            }
        }
        for entry in maps.subscribers.iter() {
            let (host, held) = entry?;
            if held.flows() != 0 {
                state.subscribers.insert(host, held.flows());
            }
        }
        for (reason, count) in self.datapath.reasons()? {
            if count > 0 {
                state.reasons.insert(reason.name(), count);
            }
        }
        // The limiter's: the test runs keep to one CPU, so no other's is anything but zero.
        let used = |answers: &&Answers| **answers != Answers::default();
        let answers = maps.answers.get(&0, 0)?;
        state.answers = answers.iter().find(used).copied().unwrap_or_default();
        Ok(state)
    }
}

impl InKernel {
    /// Empties what packets have filled: the next case begins on clean tables without loading anything anew.
    pub fn reset(&mut self) -> Result<()> {
        let maps = &mut self.datapath.maps;
        for tier in [
            &self.datapath.flows.established,
            &self.datapath.flows.embryonic,
        ] {
            tier.clear()?;
        }
        for key in maps.fragments.keys().collect::<Result<Vec<_>, _>>()? {
            maps.fragments.remove(&key)?;
        }
        for key in maps.mappings.keys().collect::<Result<Vec<_>, _>>()? {
            maps.mappings.remove(&key)?;
        }
        for key in maps.permissions.keys().collect::<Result<Vec<_>, _>>()? {
            maps.permissions.remove(&key)?;
        }
        for key in maps.subscribers.keys().collect::<Result<Vec<_>, _>>()? {
            maps.subscribers.remove(&key)?;
        }
        self.held.clear();
        for id in self.image.routes.keys() {
            maps.turns.set(*id, [0; 8], 0)?;
        }
        let cpus = aya::util::nr_cpus().map_err(|(file, error)| anyhow!("{file}: {error}"))?;
        for key in maps.sources.keys().collect::<Result<Vec<_>, _>>()? {
            maps.sources.remove(&key)?;
        }
        for index in 0..maps.shares.len() {
            maps.shares.set(index, Load::default(), 0)?;
        }
        for id in self.image.backends.keys().chain([&0]) {
            maps.loads.set(*id, Load::default(), 0)?;
            maps.counters.set(
                *id,
                PerCpuValues::try_from(vec![Counters::default(); cpus])?,
                0,
            )?;
        }
        let none = PerCpuValues::try_from(vec![Answers::default(); cpus])?;
        maps.answers.set(0, none, 0)?;
        for index in 0..maps.next_hops.len() {
            maps.next_hops.set(index, NextHop::default(), 0)?;
        }
        Ok(())
    }
}

/// The loaded programs on the usual host, filled with the world's plan. [`bed::build`] must have run in this thread.
pub fn in_kernel(world: &str, local_ports: (u16, u16), flows: Option<u32>) -> Result<InKernel> {
    let (host, plan) = (bed::host(local_ports), bed::plan(world, flows)?);
    let mut subject = InKernel::new(&plan.limits)?;
    subject.fill(&plan, &host)?;
    Ok(subject)
}
