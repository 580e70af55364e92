//! Many translated flows, beside nftables' masquerade and so conntrack: what a packet of one costs, what a new one does, and
//! its memory.

use super::PACKET;
use super::routes::each;
use crate::contest::Metric;
use crate::pps::chain::Shot;
use crate::pps::lane::{Forwarder, Lane, Work};
use crate::pps::sender::{Amount, Course};
use anyhow::{Context, Result, ensure};
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
/// New flows of a shot at least: fewer are over too soon to be timed, so they are made again and again.
const ENOUGH: u32 = 20_000;
/// Flows whose memory is measured: the kernel takes it by the page.
const MANY: u32 = 60_000;

/// All contestants.
pub struct Flows {
    lanes: Vec<(Who, Lane)>,
    /// Bytes that one of conntrack's takes.
    pub memory: f64,
}

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
        let mut lanes: Vec<(Who, Lane)> = all.collect::<Result<_>>()?;
        let (_, nft) = lanes.last_mut().context("nobody")?;
        nft.empty()?;
        let before = slab()?;
        insert(nft, MANY)?;
        let taken = slab()?.saturating_sub(before);
        ensure!(taken > 0, "conntrack's flows take no memory");
        Ok(Flows {
            lanes,
            memory: taken as f64 / f64::from(MANY),
        })
    }

    /// Nanoseconds of a packet, from the sender to the sink.
    pub fn measure(&mut self, task: Task, who: Who) -> Result<Vec<(Metric, f64)>> {
        let mut all = self.lanes.iter_mut();
        let (_, lane) = all.find(|(known, _)| *known == who).context("nobody")?;
        let shot = match task {
            Task::Hit(flows) => {
                lane.establish(flows)?;
                let course = Course::scattered(flows);
                lane.chain.send(course, Amount::Frames(flows.into()))?;
                lane.chain.send(course, Amount::For(SHOT))?
            }
            Task::Insert(flows) => {
                let mut all = Shot::default();
                while all.sent < ENOUGH.into() {
                    lane.empty()?;
                    all = all.and(insert(lane, flows)?);
                }
                all
            }
        };
        Ok(vec![(PACKET, each(shot)?)])
    }
}

fn insert(lane: &mut Lane, flows: u32) -> Result<Shot> {
    let course = Course::onward(0, flows);
    lane.chain.send(course, Amount::Frames(flows.into()))
}

/// Bytes of the kernel's objects that are in use, of all kinds (slabinfo(5)): pages that it keeps do not count.
fn slab() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/slabinfo").context("/proc/slabinfo")?;
    let bytes = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let active: u64 = words.next()?.parse().ok()?;
        let size: u64 = words.nth(1)?.parse().ok()?;
        Some(active * size)
    };
    Ok(text.lines().filter_map(bytes).sum())
}
