//! Many translated flows, beside nftables' masquerade and so conntrack: what a packet of one costs, what a new one does, and
//! its memory.

use super::routes::each;
use super::{MEMORY, PACKET};
use crate::contest::Metric;
use crate::pps::lane::{Forwarder, Lane, Work};
use crate::pps::sender::{Amount, Course};
use anyhow::{Context, Result};
use gwpool_harness::net::fabric::Datapath;
use std::time::Duration;

/// Who translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// gwpool, in native XDP.
    Gwpool,
    /// `masquerade`.
    Nft,
}

impl Who {
    /// All, and their names.
    pub const ALL: [(Who, &'static str); 2] =
        [(Who::Gwpool, "gwpool XDP"), (Who::Nft, "nft masquerade")];
}

/// What is measured, with how many flows.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// A packet of one that is known.
    Hit(u32),
    /// A new one.
    Insert(u32),
}

/// One NAT address has ports for 60k flows.
pub const TASKS: [(&str, Task); 4] = [
    ("1k flows: hit", Task::Hit(1_000)),
    ("1k flows: insert", Task::Insert(1_000)),
    ("60k flows: hit", Task::Hit(60_000)),
    ("60k flows: insert", Task::Insert(60_000)),
];

/// A shot at flows that are there.
const SHOT: Duration = Duration::from_millis(300);
/// Fewer flows say nothing of the memory of one: the kernel takes it by the page.
const ENOUGH: u32 = 10_000;

/// All contestants.
pub struct Flows(Vec<(Who, Lane)>);

impl Flows {
    /// Sets them up.
    pub fn up() -> Result<Flows> {
        let all = Who::ALL.into_iter().map(|(who, name)| {
            eprintln!("scale: setting up {name}, translating");
            let forwarder = match who {
                Who::Gwpool => Forwarder::Gwpool(Datapath::Native),
                Who::Nft => Forwarder::Nft,
            };
            Ok((who, Lane::up(Work::Translate, forwarder)?))
        });
        Ok(Flows(all.collect::<Result<_>>()?))
    }

    /// Measures.
    pub fn measure(&mut self, task: Task, who: Who) -> Result<Vec<(Metric, f64)>> {
        let mut all = self.0.iter_mut();
        let (_, lane) = all.find(|(known, _)| *known == who).context("nobody")?;
        match task {
            Task::Hit(flows) => {
                lane.establish(flows)?;
                let course = Course::scattered(flows);
                lane.chain.send(course, Amount::Frames(flows.into()))?;
                let shot = lane.chain.send(course, Amount::For(SHOT))?;
                Ok(vec![(PACKET, each(shot)?)])
            }
            Task::Insert(flows) => {
                lane.empty()?;
                let before = slab()?;
                let course = Course::onward(0, flows);
                let shot = lane.chain.send(course, Amount::Frames(flows.into()))?;
                let taken = slab()?.saturating_sub(before);
                let mut figures = vec![(PACKET, each(shot)?)];
                // Our tables are there from the start: `memory of a flow` has those.
                if who == Who::Nft && flows > ENOUGH {
                    figures.push((MEMORY, taken as f64 / f64::from(flows)));
                }
                Ok(figures)
            }
        }
    }
}

/// Bytes that the kernel has for objects.
fn slab() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"));
    let words = line.context("no Slab in /proc/meminfo")?;
    let kib = words.split_whitespace().next().context("no number")?;
    Ok(kib.parse::<u64>()? * 1024)
}
