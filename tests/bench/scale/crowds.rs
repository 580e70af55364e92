//! Gateways full of flows: what a pass of the daemon's sweep over them costs, and the memory of one flow.

use super::apart::Apart;
use anyhow::{Context, Result, ensure};
use gwpool_common::limits::FLOWS;
use gwpool_harness::bed;
use gwpool_harness::crowd::Crowd;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Numbers of flows, and as tasks name them.
pub const SIZES: [(u32, &str); 3] = [(1 << 10, "1k"), (1 << 16, "64k"), (1 << 20, "1M")];

/// A gateway for each number, made when it is first asked for.
pub struct Crowds {
    all: BTreeMap<u32, Apart<Crowd>>,
    /// Bytes that a connection takes, both directions, at the default capacity.
    pub memory: f64,
}

impl Crowds {
    /// Without a crowd yet.
    pub fn new() -> Result<Crowds> {
        let memory = Apart::new(|| bed::build().and_then(|()| flow_memory()))?;
        Ok(Crowds {
            all: BTreeMap::new(),
            memory: memory.ask(|bytes| Ok(*bytes))?,
        })
    }

    /// One pass over flows that are all alive: milliseconds of CPU.
    pub fn pass(&mut self, flows: u32) -> Result<f64> {
        if let Entry::Vacant(place) = self.all.entry(flows) {
            eprintln!("scale: making {flows} flows, by packets");
            place.insert(Apart::new(move || crowd(flows))?);
        }
        let crowd = self.all.get(&flows).context("it was just made")?;
        crowd.ask(|crowd| {
            let (swept, spent) = crowd.pass()?;
            ensure!(swept.flows == 0, "a live flow was removed: {swept:?}");
            Ok(spent.as_secs_f64() * 1e3)
        })
    }
}

fn crowd(flows: u32) -> Result<Crowd> {
    bed::build()?;
    let mut crowd = Crowd::new(flows.max(FLOWS))?;
    crowd.connect(flows)?;
    // The first pass finds its way to as much memory as it needs.
    crowd.pass()?;
    Ok(crowd)
}

/// What the default capacity takes beyond half of it, all maps together, for each flow more.
fn flow_memory() -> Result<f64> {
    let of = |capacity: u32| {
        let before = map_memory()?;
        let _crowd = Crowd::new(capacity)?;
        Ok::<u64, anyhow::Error>(map_memory()? - before)
    };
    let half = FLOWS / 2;
    let (few, many) = (of(half)?, of(FLOWS)?);
    ensure!(many > few, "flows take no memory");
    Ok((many - few) as f64 / f64::from(FLOWS - half))
}

/// Bytes of all maps that this process holds, as the kernel accounts them; each once, however many descriptors it has.
fn map_memory() -> Result<u64> {
    let mut maps = BTreeMap::new();
    for entry in std::fs::read_dir("/proc/self/fdinfo")? {
        // One that was the directory's own is gone.
        let Ok(text) = std::fs::read_to_string(entry?.path()) else {
            continue;
        };
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|number| number.trim().parse::<u64>()).transpose()
        };
        if let Some(map) = number("map_id:")? {
            maps.insert(map, number("memlock:")?.context("a map without memlock")?);
        }
    }
    Ok(maps.values().sum())
}
