//! All of it, up: a claimed run, its links, its servers and daemons. Taken down on drop, in the opposite order.
//! Also refuses a world in which the daemons attached otherwise than asked: it would show something else.

use super::fabric::{self, Datapath};
use super::gateway::{Daemon, Gateway};
use super::namespace::Namespace;
use super::nodeport::NodePorts;
use super::run::Run;
use super::site::{self, Site, seed_ports};
use super::stats::Stats;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Worlds of one process stand one at a time: two cores carry one, and timings mean something.
static TURN: Mutex<()> = Mutex::new(());

/// A site that this process built and owns.
pub struct World {
    /// Where everything is.
    pub site: Site,
    /// How the daemons attach.
    pub datapath: Datapath,
    daemons: BTreeMap<String, Daemon>,
    servers: BTreeMap<String, NodePorts>,
    _run: Run,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// A run's name that no other world on this machine has.
    pub fn fresh_id(kind: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        format!(
            "{kind}{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// The links and addresses; nothing runs there yet.
    pub fn links(id: &str, datapath: Datapath) -> Result<World> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let run = Run::claim(id)?;
        let site = Site::of(run.id());
        fabric::build(&site, datapath).context("building the links")?;
        let (daemons, servers) = (BTreeMap::new(), BTreeMap::new());
        Ok(World {
            site,
            datapath,
            daemons,
            servers,
            _run: run,
            _turn: turn,
        })
    }

    /// Links and servers, and a daemon on every gateway: what most tests begin with.
    pub fn up(datapath: Datapath) -> Result<World> {
        let mut world = World::links(&World::fresh_id("t"), datapath)?;
        world.serve_all()?;
        world.start_all()?;
        Ok(world)
    }

    /// Links, and one daemon, on gateway-1, with these routes: the two other gateways are hosts like any.
    pub fn with_routes(datapath: Datapath, routes: &str) -> Result<World> {
        World::with_inventory(datapath, &site::inventory(routes))
    }

    /// The same with a whole inventory.
    pub fn with_inventory(datapath: Datapath, inventory: &str) -> Result<World> {
        let mut world = World::links(&World::fresh_id("t"), datapath)?;
        let gateway = world.site.gateway(1).clone();
        world.start_on(&gateway, inventory)?;
        Ok(world)
    }

    /// A server at every port of the seed on one gateway, but not at those in `without`.
    pub fn serve(&mut self, gateway: &Gateway, without: &[u16]) -> Result<()> {
        let mut ports = seed_ports()?;
        ports.retain(|port| !without.contains(port));
        self.serve_at(&gateway.namespace, &gateway.name, &ports)
    }

    /// A server at each of these ports of any host, which answers as `name`.
    pub fn serve_at(&mut self, host: &Namespace, name: &str, ports: &[u16]) -> Result<()> {
        let servers = NodePorts::serve(host, name, ports)
            .with_context(|| format!("starting servers as {name}"))?;
        self.servers.insert(name.to_owned(), servers);
        Ok(())
    }

    /// A server at every port of the seed on every gateway, as NodePorts are.
    pub fn serve_all(&mut self) -> Result<()> {
        self.site
            .gateways
            .clone()
            .iter()
            .try_for_each(|gateway| self.serve(gateway, &[]))
    }

    /// A daemon on every gateway.
    pub fn start_all(&mut self) -> Result<()> {
        self.start_together(&self.site.gateways.clone())
    }

    /// A daemon on each of these, started together; returns when all of them answer.
    pub fn start_together(&mut self, gateways: &[Gateway]) -> Result<()> {
        for gateway in gateways {
            self.daemons
                .insert(gateway.name.clone(), gateway.start(self.datapath)?);
        }
        for daemon in self.daemons.values_mut() {
            check_modes(self.datapath, &daemon.ready()?)?;
        }
        Ok(())
    }

    /// A daemon on one gateway; returns when it answers.
    pub fn start(&mut self, gateway: &Gateway) -> Result<()> {
        self.keep(gateway, gateway.start(self.datapath)?)
    }

    /// The same on an inventory of the test's own.
    pub fn start_on(&mut self, gateway: &Gateway, inventory: &str) -> Result<()> {
        self.keep(gateway, gateway.start_on(self.datapath, inventory)?)
    }

    fn keep(&mut self, gateway: &Gateway, mut daemon: Daemon) -> Result<()> {
        check_modes(self.datapath, &daemon.ready()?)?;
        self.daemons.insert(gateway.name.clone(), daemon);
        Ok(())
    }

    /// A signal to the daemon of one gateway.
    pub fn signal(&self, gateway: &Gateway, signal: Signal) -> Result<()> {
        let daemon = self.daemons.get(&gateway.name);
        daemon
            .with_context(|| format!("no daemon was started on {}", gateway.name))?
            .signal(signal)
    }

    /// SIGKILL to the daemon of one gateway.
    pub fn kill(&mut self, gateway: &Gateway) -> Result<()> {
        let daemon = self.daemons.remove(&gateway.name);
        daemon
            .with_context(|| format!("no daemon was started on {}", gateway.name))?
            .kill()
    }
}

/// The lab asked for a mode: no other may be what is tried.
pub fn check_modes(datapath: Datapath, stats: &Stats) -> Result<()> {
    ensure!(
        !stats.datapath.interfaces.is_empty(),
        "{} manages no interface",
        stats.node
    );
    for interface in &stats.datapath.interfaces {
        let as_asked = datapath == Datapath::Auto || interface.mode == datapath.name();
        let (node, name, mode) = (&stats.node, &interface.name, &interface.mode);
        ensure!(
            as_asked,
            "{node} has {name} in mode {mode}, asked for was {}",
            datapath.name()
        );
    }
    Ok(())
}
