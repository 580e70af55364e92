//! What arrives at an end of the row: counted there, and dropped or answered.

use super::link::{Hook, Link};
use anyhow::{Context, Result};
use aya::Ebpf;
use aya::maps::{Array, PerCpuArray};

/// A sink on a link, for as long as it lives.
pub struct Sink {
    floors: Ebpf,
    interface: u32,
}

impl Sink {
    /// Attaches it.
    pub fn attach(link: &Link, hook: Hook) -> Result<Sink> {
        let program = match hook {
            Hook::Xdp => "sink_xdp",
            Hook::Tc => "sink_tc",
        };
        Ok(Sink {
            floors: link.attach(program)?,
            interface: link.index,
        })
    }

    /// From now on each datagram is answered, or dropped.
    pub fn answer(&mut self, answers: bool) -> Result<()> {
        let map = self.floors.map_mut("ANSWERS").context("ANSWERS")?;
        let mut answering: Array<_, u32> = map.try_into()?;
        let interface = if answers { self.interface } else { 0 };
        Ok(answering.set(0, interface, 0)?)
    }

    /// Datagrams that have come so far.
    pub fn arrived(&self) -> Result<u64> {
        let map = self.floors.map("ARRIVED").context("ARRIVED")?;
        let arrived: PerCpuArray<_, u64> = map.try_into()?;
        Ok(arrived.get(&0, 0)?.iter().sum())
    }
}
