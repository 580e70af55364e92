//! Many routes: what laying them costs, from the resolved plan to the last map write, and what a packet costs then.
//!
//! The real programs are loaded on the bed with tables for all of it; plans are laid by `plan` and `apply`, as the
//! daemon does. `kernel_scale` holds what is counted here against what it should be, `cargo xtask bench scale` prints
//! what it takes.

mod figures;
mod packets;

pub use figures::{Figures, Packets, Step};

use crate::bed;
use crate::kernel::InKernel;
use crate::subject::Subject;
use anyhow::{Result, ensure};
use gwpool_common::net::V4;
use gwpool_common::route::{Backend as InMap, Listener};
use gwpool_user::host::Host;
use gwpool_user::plan::diff::{diff, reap, retired};
use gwpool_user::plan::{Backend, Difference, Image, Limits, MapWrite, Plan, Route};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// The port of the first route; each next one has the next.
const PORT: u16 = 10_000;
/// Routes of a small plan: as many as the seed has.
pub const FEW: usize = 6;

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Routes.
    pub routes: usize,
    /// Backends of each.
    pub backends: usize,
}

/// The programs on their bed, and plans of this size.
pub struct Ground {
    kernel: InKernel,
    host: Host,
    size: Size,
}

/// A plan was laid.
pub struct Laid {
    /// What was written.
    pub writes: Vec<MapWrite>,
    /// In how many system calls.
    pub calls: usize,
    /// From the plan to the list of writes.
    pub compared: Duration,
    /// From the plan to the last write.
    pub took: Duration,
}

impl Ground {
    /// Loads the programs. [`bed::build`] must have run in this thread.
    pub fn new(size: Size) -> Result<Ground> {
        Ok(Ground {
            kernel: InKernel::new(&limits(size))?,
            host: bed::host((32_768, 60_999)),
            size,
        })
    }

    /// The plan with so many routes.
    pub fn plan(&self, routes: usize) -> Result<Plan> {
        let mut plan = bed::plan("seed", None)?;
        plan.routes = (0..routes)
            .map(|number| route(number, self.size.backends))
            .collect();
        plan.limits = limits(self.size);
        Ok(plan)
    }

    /// Lays a plan.
    pub fn lay(&mut self, plan: &Plan) -> Result<Laid> {
        let start = Instant::now();
        let difference = diff(&self.kernel.image, plan, &self.host)?;
        let compared = start.elapsed();
        let calls = self.kernel.datapath.apply(&difference.writes)?;
        let took = start.elapsed();
        let writes = difference.writes.clone();
        self.kernel.image.follow(difference);
        Ok(Laid {
            writes,
            calls,
            compared,
            took,
        })
    }

    /// Lays no route at all, and frees every id.
    pub fn clear(&mut self) -> Result<()> {
        let nothing = self.plan(0)?;
        self.lay(&nothing)?;
        let gone = retired(self.image());
        let freed = reap(self.image(), &gone);
        self.follow(freed)?;
        ensure!(self.image().backends.is_empty() && self.image().names.is_empty());
        Ok(())
    }

    fn follow(&mut self, difference: Difference) -> Result<()> {
        self.kernel.datapath.apply(&difference.writes)?;
        self.kernel.image.follow(difference);
        Ok(())
    }

    /// What is installed, as it is known without looking.
    pub fn image(&self) -> &Image {
        self.kernel.image()
    }

    /// What is installed, as a daemon that starts reads it; how long that took.
    pub fn read(&self) -> Result<(Image, Duration)> {
        let start = Instant::now();
        let image = self.kernel.datapath.installed()?;
        Ok((image, start.elapsed()))
    }

    /// What a daemon that starts has to write to have this plan; how long finding out takes.
    pub fn take_over(&self, plan: &Plan) -> Result<(Difference, Duration)> {
        let (image, _) = self.read()?;
        let start = Instant::now();
        let difference = diff(&image, plan, &self.host)?;
        Ok((difference, start.elapsed()))
    }

    /// Takes the route's listener out of the map behind the plan's back.
    pub fn forget(&mut self, route: &Route) -> Result<()> {
        let maps = &mut self.kernel.datapath.maps;
        Ok(maps.listeners.remove(&listener(route))?)
    }

    /// Walks the maps as a packet does, one lookup at a time, for every route of the plan.
    pub fn look_up(&self, plan: &Plan) -> Result<()> {
        let maps = &self.kernel.datapath.maps;
        for route in &plan.routes {
            let id = maps.listeners.get(&listener(route), 0)?.route;
            let found = maps.routes.get(&id, 0)?;
            let told = &route.name;
            ensure!(found.slot_count as usize == route.backends.len(), "{told}");
            for (slot, wanted) in (found.slot_first..).zip(&route.backends) {
                let backend: InMap<V4> = maps.backends.get(&maps.slots.get(&slot, 0)?, 0)?;
                ensure!(
                    backend.route == id,
                    "{told}: slot {slot} is another route's"
                );
                ensure!(
                    place(&backend) == whereabouts(wanted),
                    "{told}: slot {slot}"
                );
            }
        }
        Ok(())
    }
}

fn listener(route: &Route) -> Listener<V4> {
    Listener {
        address: [0; 4],
        port: route.port.to_be_bytes(),
        protocol: route.protocol.number(),
        pad: 0,
    }
}

fn place(backend: &InMap<V4>) -> (Ipv4Addr, u16) {
    (backend.address.into(), u16::from_be_bytes(backend.port))
}

/// Where the plan has the backend; this host is at the bed's address.
pub fn whereabouts(backend: &Backend) -> (Ipv4Addr, u16) {
    let own = Ipv4Addr::new(192, 168, 1, 1);
    (backend.address.unwrap_or(own), backend.port)
}

/// Tables for this size, and room for what is retired while it changes.
fn limits(size: Size) -> Limits {
    let many = |count: usize| u32::try_from(count + count / 4 + 64).unwrap_or(u32::MAX);
    Limits {
        flows: 65_536,
        embryonic: 262_144,
        routes: many(size.routes),
        backends: many(size.routes * size.backends),
        listeners: many(size.routes),
        flows_per_source: u32::MAX,
        new_flows_per_source: u32::MAX,
        ..Limits::default()
    }
}

/// This host first, then the bed's two neighbours by turns, each backend at a port of its own.
fn route(number: usize, backends: usize) -> Route {
    let port = PORT + number as u16;
    let backend = |index: usize| {
        let neighbour = Ipv4Addr::new(192, 168, 1, 2 + index as u8 % 2);
        Backend {
            name: format!("backend-{index}"),
            address: (index != 0).then_some(neighbour),
            port: if index == 0 {
                port
            } else {
                30_000 + index as u16
            },
            weight: 1,
        }
    };
    Route {
        name: format!("route-{number:05}"),
        port,
        redispatches: 0,
        network: "box-network".to_owned(),
        backends: (0..backends).map(backend).collect(),
        ..Route::default()
    }
}
