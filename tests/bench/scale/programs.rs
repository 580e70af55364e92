//! Our programs alone, on one CPU: what a packet costs them with few and with many routes in their tables.

use crate::micro::gateway::{self, Gateway, Hook};
use crate::micro::laps::{Course, Laps};
use anyhow::{Context, Result};

/// Flows that are established.
const FLOWS: u32 = 1_024;
/// Laps of a shot at them.
const LAPS: u32 = 1_000_000;
/// New flows of a shot: they fit into the embryonic tier.
const NEW: u32 = 40_000;
/// Their first client: none of those that are established.
const FRESH: u32 = 1 << 20;

/// A gateway for each number of routes.
pub struct Programs {
    laps: Laps,
    gateways: Vec<(usize, Gateway)>,
}

impl Programs {
    /// Loads all of it, in a network namespace that the calling thread gets.
    pub fn new<const N: usize>(sizes: [usize; N]) -> Result<Programs> {
        gateway::build()?;
        let mut laps = Laps::load()?;
        let mut gateways = Vec::new();
        for routes in sizes {
            let mut gateway = Gateway::among(routes)?;
            if gateways.is_empty() {
                gateway.lend()?;
            }
            gateway.establish(&mut laps, FLOWS)?;
            gateways.push((routes, gateway));
        }
        Ok(Programs { laps, gateways })
    }

    /// A packet of an established flow, nanoseconds.
    pub fn hit(&mut self, routes: usize) -> Result<f64> {
        let (laps, gateway) = self.of(routes)?;
        let course = Course::scattered(FLOWS);
        gateway.run(laps, Hook::Xdp, gateway::DATA, course, FLOWS)?;
        gateway.run(laps, Hook::Xdp, gateway::DATA, course, LAPS)
    }

    /// A packet that opens a flow of the last route, nanoseconds.
    pub fn new_flow(&mut self, routes: usize) -> Result<f64> {
        let (laps, gateway) = self.of(routes)?;
        gateway.forget()?;
        gateway.run(laps, Hook::Xdp, gateway::SYN, Course::onward(FRESH), NEW)
    }

    fn of(&mut self, routes: usize) -> Result<(&mut Laps, &mut Gateway)> {
        let mut gateways = self.gateways.iter_mut();
        let found = gateways.find(|(known, _)| *known == routes);
        let (_, gateway) = found.context("no such number of routes")?;
        Ok((&mut self.laps, gateway))
    }
}
