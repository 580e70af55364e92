//! What a packet costs the programs themselves: `BPF_PROG_TEST_RUN` of those that users get, on one CPU, tables filled
//! by the plan and by packets.
//!
//! Everything runs behind the same wrapper, which restores the packet before each lap and gives it another client; so do the
//! floors beside it: a program that drops, one that sends back, one that only parses, one that looks up in a hash.

pub mod gateway;
pub mod laps;

use crate::contest::{Entry, Ground, Metric};
use anyhow::{Context, Result, ensure};
use gateway::{Gateway, Hook};
use laps::{Course, Laps};

/// The figure: nanoseconds a packet, wrapper included.
pub const PACKET: Metric = Metric {
    name: "packet",
    unit: "ns",
};

/// Laps of a shot at one flow.
const LAPS: u32 = 2_000_000;
/// New flows of a shot that leaves the embryonic tier room.
const NEW: u32 = 40_000;
/// New flows of a shot at the full tier, and as many before it fill it.
const FULL: u32 = 300_000;
/// Flows that a shot promotes.
const PROMOTED: u32 = 20_000;

/// What is measured of our own programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Packets of so many established flows, in an order that no cache foresees.
    Hit(u32),
    /// A client's first packet.
    New,
    /// The same where each new flow makes an old one give way.
    NewFull,
    /// The packet that proves a flow.
    Promotion,
    /// Not to this host.
    Past,
    /// To this host, at a port of nobody's.
    PassOwn,
    /// At egress: what a forwarded packet meets there.
    Leaves,
}

const TASKS: [(&str, Task); 9] = [
    ("hit, 1 flow", Task::Hit(1)),
    ("hit, 64k flows", Task::Hit(1 << 16)),
    ("hit, 1M flows", Task::Hit(1 << 20)),
    ("new flow", Task::New),
    ("new flow, tier full", Task::NewFull),
    ("promotion", Task::Promotion),
    ("pass, another host's", Task::Past),
    ("pass, this host's", Task::PassOwn),
    ("leaving", Task::Leaves),
];
/// The task of the floors.
const FLOOR: &str = "floor";
const FLOORS: [(&str, &str); 5] = [
    ("XDP_DROP", "floor_drop"),
    ("XDP_TX", "floor_turn"),
    ("parse", "floor_parse"),
    ("hash lookup", "floor_hash"),
    ("TC redirect", "floor_redirect"),
];
const OURS: [(&str, Hook); 2] = [("gwpool XDP", Hook::Xdp), ("gwpool TC", Hook::Tc)];

/// The floors, and a gateway of each size that is asked for.
pub struct Micro {
    laps: Laps,
    usual: Gateway,
    /// With `gwpool.limits.flows` for a million.
    large: Gateway,
}

impl Micro {
    /// Loads all of it, in a network namespace that the calling thread gets.
    pub fn new() -> Result<Micro> {
        gateway::build()?;
        let mut usual = Gateway::new(None)?;
        usual.lend()?;
        let mut large = Gateway::new(Some(1 << 20))?;
        let mut laps = Laps::load()?;
        eprintln!("micro: establishing flows");
        usual.establish(&mut laps, 1 << 16)?;
        large.establish(&mut laps, 1 << 20)?;
        Ok(Micro { laps, usual, large })
    }

    fn ours(&mut self, task: Task, hook: Hook) -> Result<f64> {
        let (laps, usual) = (&mut self.laps, &mut self.usual);
        match task {
            Task::Hit(flows) => {
                let gateway = if flows > 1 << 16 {
                    &mut self.large
                } else {
                    usual
                };
                let times = LAPS.max(flows);
                // A lap of all of them first: caches as they are in the middle of the work.
                let course = Course::scattered(flows);
                gateway.run(laps, hook, gateway::DATA, course, flows)?;
                gateway.run(laps, hook, gateway::DATA, course.from(flows), times)
            }
            Task::New => {
                usual.forget()?;
                usual.run(
                    laps,
                    hook,
                    gateway::SYN,
                    Course::onward(gateway::NEVER),
                    NEW,
                )
            }
            Task::NewFull => {
                let next = usual.unused(2 * FULL);
                usual.run(laps, hook, gateway::SYN, Course::onward(next), FULL)?;
                usual.run(laps, hook, gateway::SYN, Course::onward(next + FULL), FULL)
            }
            Task::Promotion => {
                usual.forget()?;
                let first = gateway::NEVER;
                usual.answered(first, PROMOTED)?;
                let spent =
                    usual.run(laps, hook, gateway::PROOF, Course::onward(first), PROMOTED)?;
                usual.retire(first, PROMOTED)?;
                Ok(spent)
            }
            Task::Past => usual.run(laps, hook, gateway::PAST, Course::scattered(1), LAPS),
            Task::PassOwn => usual.run(laps, hook, gateway::STRAY, Course::scattered(1), LAPS),
            Task::Leaves => usual.run(
                laps,
                Hook::Egress,
                gateway::PAST,
                Course::scattered(1),
                LAPS,
            ),
        }
    }
}

impl Ground for Micro {
    fn name(&self) -> &'static str {
        "micro"
    }

    fn entries(&self) -> Vec<Entry> {
        let floors = FLOORS.iter().map(|(name, _)| Entry::new(FLOOR, *name));
        let ours = TASKS.iter().flat_map(|(task, kind)| {
            let hooks = OURS
                .iter()
                .filter(|(_, hook)| *hook == Hook::Tc || *kind != Task::Leaves);
            hooks.map(|(name, _)| Entry::new(*task, *name))
        });
        floors.chain(ours).collect()
    }

    fn shoot(&mut self, entry: &Entry) -> Result<Vec<(Metric, f64)>> {
        let named = |(name, _): &&(&str, _)| *name == entry.contestant;
        if entry.task == FLOOR {
            let (_, program) = FLOORS.iter().find(named).context("a floor")?;
            let nanoseconds = self.laps.floor(program, gateway::DATA, LAPS)?;
            return Ok(vec![(PACKET, nanoseconds)]);
        }
        let task = TASKS.iter().find(|(name, _)| *name == entry.task);
        let (_, task) = task.context("a task")?;
        let (_, hook) = OURS
            .iter()
            .find(|(name, _)| *name == entry.contestant)
            .context("a hook")?;
        let nanoseconds = self.ours(*task, *hook)?;
        ensure!(nanoseconds > 0.0, "the kernel's clock stood still");
        Ok(vec![(PACKET, nanoseconds)])
    }
}
