//! Small packets: 60-byte UDP from many clients through a gateway to a sink, everything on one CPU.
//!
//! A frame's whole way counts, from the sender to the sink; each contestant has the sinks that are the cheapest for it,
//! XDP for frames and TC for packets. What counts is what has arrived, and the time is the kernel's, from the first frame to the
//! last: that one system call of the sender's takes it another 25 ms to begin and to end is nobody's cost.
//!
//! Hits are on flows that are proved: each has had a packet, its answer by the same way back, and a second packet, so they are
//! *established* with gwpool, and ASSURED with conntrack; no other flow is in the tables. Their order is one that no
//! cache foresees. New flows are never answered, and come to tables that were emptied before; where the tier is full, each
//! makes an older one give way. There are a thousand clients with some 60 flows each, and each flow's source port is another,
//! so that nobody who keeps ports has to look for one. gwpool has no limit that is not a default.

pub mod chain;
pub mod lane;
pub mod link;
pub mod sender;
mod sink;

use crate::contest::{Entry, Ground, Metric, there, told};
use anyhow::{Context, Result, ensure};
use chain::Shot;
use gwpool_common::limits::EMBRYONIC;
use gwpool_harness::net::fabric::Datapath;
use lane::{Forwarder, Lane, Work};
use sender::{Amount, Course};
use std::time::Duration;

/// Packets that have arrived.
const RATE: Metric = Metric {
    name: "packets",
    unit: "M/s",
};
/// How many of those that were sent.
const ARRIVED: Metric = Metric {
    name: "arrived",
    unit: "%",
};
/// Fewer, and it is said.
const ENOUGH: f64 = 99.0;
/// A shot at flows that are there.
const SHOT: Duration = Duration::from_millis(500);
/// New flows of a shot: they fit into the embryonic tier, and by their ports into one NAT address.
const NEW: u32 = 60_000;
/// New flows of a shot where the tier is full; before it, as many as the tier has room for, and half as many again.
const FULL: u32 = 150_000;
const FILL: u32 = EMBRYONIC + EMBRYONIC / 2;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Packets of so many established flows.
    Hits(u32),
    /// Each packet is a flow of its own, and there is room for it.
    New,
    /// The same with gwpool's embryonic tier full.
    NewFull,
}

const TASKS: [(&str, Work, Task); 7] = [
    ("1 flow", Work::Balance, Task::Hits(1)),
    ("64k flows", Work::Balance, Task::Hits(64_000)),
    ("new flows", Work::Balance, Task::New),
    ("new flows, tier full", Work::Balance, Task::NewFull),
    ("SNAT, 1 flow", Work::Translate, Task::Hits(1)),
    ("SNAT, 60k flows", Work::Translate, Task::Hits(60_000)),
    ("SNAT, new flows", Work::Translate, Task::New),
];

const XDP: Forwarder = Forwarder::Gwpool(Datapath::Native);
const TC: Forwarder = Forwarder::Gwpool(Datapath::Tc);

const CONTESTANTS: [(&str, Work, Forwarder); 11] = [
    ("XDP redirect", Work::Balance, Forwarder::Redirect),
    ("gwpool XDP", Work::Balance, XDP),
    ("gwpool TC", Work::Balance, TC),
    ("kernel routing", Work::Balance, Forwarder::Kernel),
    ("conntrack", Work::Balance, Forwarder::Conntrack),
    ("nft DNAT+masquerade", Work::Balance, Forwarder::Nft),
    (
        "iptables DNAT+MASQUERADE",
        Work::Balance,
        Forwarder::Iptables,
    ),
    ("gwpool XDP", Work::Translate, XDP),
    ("gwpool TC", Work::Translate, TC),
    ("nft masquerade", Work::Translate, Forwarder::Nft),
    ("iptables MASQUERADE", Work::Translate, Forwarder::Iptables),
];

/// All of them, side by side.
pub struct Pps(Vec<Contestant>);

struct Contestant {
    name: &'static str,
    work: Work,
    forwarder: Forwarder,
    /// Or why it does not stand.
    lane: Result<Lane, String>,
    /// Where the flows begin that have not been seen for longest.
    fresh: u32,
}

impl Pps {
    /// Sets them up, one after the other; who cannot be set up loses every shot, and says why.
    pub fn new() -> Result<Pps> {
        let set_up = |(name, work, forwarder): (&'static str, Work, Forwarder)| {
            eprintln!("pps: setting up {name}, {work:?}");
            let lane = told("pps", name, Lane::up(work, forwarder));
            Contestant {
                name,
                work,
                forwarder,
                lane,
                fresh: 0,
            }
        };
        Ok(Pps(CONTESTANTS.into_iter().map(set_up).collect()))
    }
}

impl Contestant {
    fn has(&self, work: Work, task: Task) -> bool {
        let does = match (task, self.forwarder) {
            (Task::Hits(_), _) => true,
            // Knows of no flows.
            (_, Forwarder::Redirect | Forwarder::Kernel) => false,
            (Task::New, _) => true,
            (Task::NewFull, forwarder) => matches!(forwarder, Forwarder::Gwpool(_)),
        };
        does && work == self.work
    }

    fn shoot(&mut self, task: Task) -> Result<Shot> {
        let lane = there(&mut self.lane)?;
        match task {
            Task::Hits(flows) => {
                lane.establish(flows)?;
                let course = Course::scattered(flows);
                // A lap of all of them first: caches as they are in the middle of the work.
                lane.chain.send(course, Amount::Frames(flows.into()))?;
                lane.chain.send(course, Amount::For(SHOT))
            }
            Task::New => {
                lane.empty()?;
                let once = Course::onward(0, NEW);
                lane.chain.send(once, Amount::Frames(NEW.into()))
            }
            Task::NewFull => {
                let mut send = |flows: u32| {
                    if self.fresh > sender::FLOWS - flows {
                        self.fresh = 0;
                    }
                    let course = Course::onward(self.fresh, flows);
                    self.fresh += flows;
                    lane.chain.send(course, Amount::Frames(flows.into()))
                };
                send(FILL)?;
                send(FULL)
            }
        }
    }
}

impl Ground for Pps {
    fn name(&self) -> &'static str {
        "pps"
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (task, work, kind) in TASKS {
            let have = self
                .0
                .iter()
                .filter(|contestant| contestant.has(work, kind));
            entries.extend(have.map(|contestant| Entry::new(task, contestant.name)));
        }
        entries
    }

    fn shoot(&mut self, entry: &Entry) -> Result<Vec<(Metric, f64)>> {
        let (_, work, task) = TASKS
            .into_iter()
            .find(|(name, ..)| *name == entry.task)
            .context("no such task")?;
        let contestant = self
            .0
            .iter_mut()
            .find(|contestant| contestant.name == entry.contestant && contestant.has(work, task));
        let shot = contestant.context("no such contestant")?.shoot(task)?;
        ensure!(shot.arrived > 0, "nothing has arrived");
        let arrived = shot.arrived_percent();
        if arrived < ENOUGH {
            eprintln!("pps: {}: only {arrived:.1} % arrived", entry.contestant);
        }
        Ok(vec![(RATE, shot.rate()), (ARRIVED, arrived)])
    }
}
