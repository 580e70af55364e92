//! Many routes, beside nftables' map and iptables' list: loading them, adding one, and packets to the last of them.

use super::{COMMAND, LAYING};
use crate::contest::Metric;
use crate::peers::{self, Route};
use crate::pps::chain::{Chain, Shot};
use crate::pps::lane::{Forwarder, Lane};
use crate::pps::link::Hook;
use crate::pps::sender::{Amount, Course, PORT};
use crate::row::{self, BACKENDS, Endpoints, FRONT, Row};
use anyhow::{Context, Result, ensure};
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::namespace::output;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// gwpool, in native XDP.
    Gwpool,
    /// A map with an element a route.
    Nft,
    /// A rule a route.
    Iptables,
}

impl Who {
    /// All, and their names.
    pub const ALL: [(Who, &'static str); 3] = [
        (Who::Gwpool, "gwpool XDP"),
        (Who::Nft, "nft map"),
        (Who::Iptables, "iptables rules"),
    ];
}

/// Flows that are hit.
const FLOWS: u32 = 1_000;
/// New flows by whose pace it is known how many fit into a shot.
const PROBE: u32 = 1_000;
/// Most new flows of a shot: the last route has one backend, and towards it half of the ports that full NAT may use.
const NEW: u32 = 16_000;
/// Of what is sent so much arrives, per cent, or it was not forwarding that was measured.
const ENOUGH: f64 = 99.0;
/// Room for all routes that are tried.
const LIMITS: &str = "routes: 16384, listeners: 16384, backends: 16384";
/// A shot.
const SHOT: Duration = Duration::from_millis(300);
/// The port of the first route; each next one has the next, but for the last, which is asked for.
const FIRST_PORT: usize = 10_000;

/// All contestants.
pub struct Routes(Vec<Bearer>);

/// A contestant.
struct Bearer {
    who: Who,
    lane: Lane,
    /// Routes that it has.
    has: usize,
}

impl Routes {
    /// Sets them up, with one route each.
    pub fn up() -> Result<Routes> {
        let all = Who::ALL.into_iter().map(|(who, name)| {
            eprintln!("scale: setting up {name}");
            Bearer::up(who)
        });
        Ok(Routes(all.collect::<Result<_>>()?))
    }

    fn of(&mut self, who: Who) -> Result<&mut Bearer> {
        let mut all = self.0.iter_mut();
        all.find(|bearer| bearer.who == who).context("nobody")
    }

    /// From one route to so many: what the command takes, and what of it is ours after the inventory was read.
    pub fn load(&mut self, who: Who, routes: usize) -> Result<Vec<(Metric, f64)>> {
        let bearer = self.of(who)?;
        bearer.lay(1)?;
        bearer.lay(routes)
    }

    /// One route more than so many, which is then taken away again.
    pub fn change(&mut self, who: Who, routes: usize) -> Result<Vec<(Metric, f64)>> {
        let bearer = self.of(who)?;
        bearer.have(routes)?;
        let spent = bearer.add()?;
        bearer.lay(1)?;
        bearer.lay(routes)?;
        Ok(spent)
    }

    /// A packet that opens a flow of the last route, from the sender to the sink, nanoseconds.
    pub fn open(&mut self, who: Who, routes: usize) -> Result<f64> {
        let bearer = self.of(who)?;
        bearer.have(routes)?;
        bearer.lane.empty()?;
        let chain = &mut bearer.lane.chain;
        let probe = chain.send(Course::onward(0, PROBE), Amount::Frames(PROBE.into()))?;
        let fit = SHOT.as_secs_f64() / probe.took.as_secs_f64() * f64::from(PROBE);
        let flows = (fit as u32).clamp(PROBE, NEW);
        let shot = chain.send(Course::onward(PROBE, flows), Amount::Frames(flows.into()))?;
        each(shot)
    }

    /// A packet of a known flow, nanoseconds.
    pub fn hit(&mut self, who: Who, routes: usize) -> Result<f64> {
        let bearer = self.of(who)?;
        bearer.have(routes)?;
        bearer.lane.empty()?;
        let chain = &mut bearer.lane.chain;
        chain.establish(FLOWS)?;
        let course = Course::scattered(FLOWS);
        chain.send(course, Amount::Frames(FLOWS.into()))?;
        each(chain.send(course, Amount::For(SHOT))?)
    }
}

/// Nanoseconds of a packet that has arrived.
pub fn each(shot: Shot) -> Result<f64> {
    let arrived = shot.arrived_percent();
    ensure!(arrived >= ENOUGH, "only {arrived:.1} % arrived");
    Ok(shot.took.as_nanos() as f64 / shot.arrived as f64)
}

impl Bearer {
    fn up(who: Who) -> Result<Bearer> {
        let mut row = Row::up(Endpoints::MtuSized)?;
        let (forwarder, hook) = match who {
            Who::Gwpool => (Forwarder::Gwpool(Datapath::Native), Hook::Xdp),
            Who::Nft => (Forwarder::Nft, Hook::Tc),
            Who::Iptables => (Forwarder::Iptables, Hook::Tc),
        };
        match rules(who, 1) {
            Some(rules) => rules.load(&row.gateway.namespace)?,
            None => row.serve(Datapath::Native, &inventory(1))?,
        }
        let mut chain = Chain::up(row, FRONT, hook)?;
        chain.open()?;
        Ok(Bearer {
            who,
            lane: Lane::of(forwarder, chain),
            has: 1,
        })
    }

    /// Loads them unless they are there.
    fn have(&mut self, routes: usize) -> Result<()> {
        if self.has != routes {
            self.lay(routes)?;
        }
        Ok(())
    }

    /// Exactly so many routes, in place of all that there are.
    fn lay(&mut self, routes: usize) -> Result<Vec<(Metric, f64)>> {
        let gateway = &self.lane.chain.row.gateway;
        let Some(rules) = rules(self.who, routes) else {
            self.has = routes;
            return self.reload(&inventory(routes));
        };
        if self.who == Who::Nft {
            let table = ["delete", "table", "ip", peers::TABLE];
            gateway.namespace.run("nft", &table)?;
        }
        let start = Instant::now();
        rules.load(&gateway.namespace)?;
        self.has = routes;
        Ok(vec![(COMMAND, milliseconds(start.elapsed()))])
    }

    /// One more than there are.
    fn add(&mut self) -> Result<Vec<(Metric, f64)>> {
        let more = self.has + 1;
        let gateway = &self.lane.chain.row.gateway;
        let route = all(more).swap_remove(0);
        let element = format!("{{ {} }}", peers::nft_element(&route));
        let rule = format!("-t nat -A {}", peers::iptables_rule("udp", &route));
        let (program, words): (&str, Vec<&str>) = match self.who {
            Who::Gwpool => {
                self.has = more;
                return self.reload(&inventory(more));
            }
            Who::Nft => {
                let place = ["add", "element", "ip", peers::TABLE, peers::ROUTES];
                ("nft", place.into_iter().chain([element.as_str()]).collect())
            }
            Who::Iptables => ("iptables", rule.split(' ').collect()),
        };
        let start = Instant::now();
        gateway.namespace.run(program, &words)?;
        self.has = more;
        Ok(vec![(COMMAND, milliseconds(start.elapsed()))])
    }

    /// The daemon reads this inventory in place of what it has.
    fn reload(&self, inventory: &str) -> Result<Vec<(Metric, f64)>> {
        #[derive(serde::Deserialize)]
        struct Reloaded {
            ms: f64,
            read_ms: f64,
        }
        let gateway = &self.lane.chain.row.gateway;
        std::fs::write(gateway.inventory_file(), inventory)?;
        let mut command = gateway.user("reload")?;
        let start = Instant::now();
        let said = output(command.arg("--json"))?;
        let took = milliseconds(start.elapsed());
        let Reloaded { ms, read_ms } = serde_json::from_str(&said).context("reload --json")?;
        Ok(vec![(COMMAND, took), (LAYING, ms - read_ms)])
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// So many routes, each to one backend at the port it listens at; the last one is at [`PORT`].
fn all(routes: usize) -> Vec<Route> {
    let port = |number: usize| match number + 1 {
        last if last == routes => PORT,
        _ => (FIRST_PORT + number) as u16,
    };
    let route = |number: usize| {
        let backend = BACKENDS[number % BACKENDS.len()];
        let port = port(number);
        (
            SocketAddrV4::new(FRONT, port),
            SocketAddrV4::new(backend, port),
        )
    };
    (0..routes).map(route).collect()
}

fn rules(who: Who, routes: usize) -> Option<peers::Rules> {
    match who {
        Who::Gwpool => None,
        Who::Nft => Some(peers::nft_routes("udp", &all(routes))),
        Who::Iptables => Some(peers::iptables_routes("udp", &all(routes))),
    }
}

/// The gateway's inventory, with room for all routes that are tried.
fn inventory(routes: usize) -> String {
    let lines: String = all(routes)
        .iter()
        .map(|(listen, backend)| {
            let (address, port) = (listen.ip(), listen.port());
            format!(
                "    udp-{port}: {{mode: udp, address: {address}, port: {port}, \
                 destination: {{addresses: [{}], port: {port}}}}}\n",
                backend.ip()
            )
        })
        .collect();
    row::inventory(Datapath::Native, &lines, LIMITS)
}
