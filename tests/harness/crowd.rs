//! A gateway full of flows, every one made by packets through the loaded programs, and what its sweep does and costs.
//!
//! 32 routes with two backends each; the last route is UDP, on the first an idle flow is over after a minute. Every
//! fourth connection of a route is the heavy client's. What is counted here is counted by what was sent.

use crate::bed::{self, BOX_NETWORK, GATEWAY_NETWORK};
use crate::frames::Frame;
use crate::kernel::InKernel;
use crate::subject::{Action, Hook, Subject};
use anyhow::{Context, Result, ensure};
use aya::maps::{IterableMap as _, MapData};
use gwpool_common::flow::{Embryo, FlowKey, FlowSet};
use gwpool_common::net::V4;
use gwpool_common::route::{Load, Source};
use gwpool_ebpf::pair::mate;
use gwpool_user::config::{self, Sources};
use gwpool_user::datapath::sweep::{Sweep, Swept};
use gwpool_user::plan::{Plan, diff};
use nix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Routes, with two backends each.
pub const ROUTES: u32 = 32;
/// The client of every fourth connection.
pub const HEAVY: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);
/// How long a flow of the first route may be idle.
pub const IDLE_S: u16 = 60;

const LOCAL_PORTS: (u16, u16) = (32768, 60999);
const LISTEN: u32 = 20_000;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// The gateway.
pub struct Crowd {
    kernel: InKernel,
    plan: Plan,
    sweep: Sweep,
    tick: u32,
    /// Flows made so far.
    pub flows: u32,
}

impl Crowd {
    /// With tables for so many flows. [`bed::build`] must have run in this thread.
    pub fn new(capacity: u32) -> Result<Crowd> {
        let plan = plan(capacity)?;
        let mut kernel = InKernel::new(&plan.limits)?;
        kernel.fill(&plan, &bed::host(LOCAL_PORTS))?;
        Ok(Crowd {
            kernel,
            plan,
            sweep: Sweep::default(),
            tick: 1000,
            flows: 0,
        })
    }

    /// Makes so many more flows, one route after the other.
    pub fn connect(&mut self, flows: u32) -> Result<()> {
        for number in self.flows..self.flows + flows {
            let connection = Connection::of(number);
            let (first, answer, proof) = connection.opening();
            let sent = self.send(GATEWAY_NETWORK, &connection.sent_by_client(first)?)?;
            let back = answer_to(&sent, connection.protocol(), answer)?;
            self.send(BOX_NETWORK, &back)?;
            self.send(GATEWAY_NETWORK, &connection.sent_by_client(proof)?)?;
        }
        self.flows += flows;
        Ok(())
    }

    /// A packet of the flow's client, then what its backend sends on it.
    pub fn exchange(&mut self, number: u32, client: &str, backend: &str) -> Result<()> {
        let connection = Connection::of(number);
        let sent = self.send(GATEWAY_NETWORK, &connection.sent_by_client(client)?)?;
        let back = answer_to(&sent, connection.protocol(), backend)?;
        self.send(BOX_NETWORK, &back).map(drop)
    }

    fn send(&mut self, interface: u32, frame: &Frame) -> Result<Vec<u8>> {
        let (action, bytes) = self.kernel.run(Hook::Xdp, interface, &frame.bytes())?;
        ensure!(action == Action::Send, "{action:?} for {frame:?}");
        Ok(bytes)
    }

    /// Moves the clock on.
    pub fn wait(&mut self, ticks: u32) -> Result<()> {
        self.tick += ticks;
        self.kernel.clock(self.tick)
    }

    /// One pass of the sweep and the CPU time it took; the settings it wishes are written, as the daemon does.
    pub fn pass(&mut self) -> Result<(Swept, Duration)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (datapath, image) = self.kernel.parts();
        let before = cpu()?;
        let pass = self.sweep.pass(datapath, image, &self.plan);
        let swept = runtime.block_on(pass)?;
        let spent = cpu()?.saturating_sub(before);
        let image = self.kernel.image();
        for write in diff::closing(image, swept.closing_s).writes {
            self.kernel.write(&write)?;
        }
        Ok((swept, spent))
    }

    /// The idle time of closed flows that the programs now go by.
    pub fn closing_s(&mut self) -> Result<u16> {
        let (datapath, _) = self.kernel.parts();
        Ok(datapath.maps.settings.get(&0, 0)?.closing_s)
    }

    /// Established entries, and those whose other half is not there.
    pub fn entries(&mut self) -> Result<(usize, usize)> {
        let (datapath, _) = self.kernel.parts();
        let entries: BTreeMap<_, _> = datapath.flows.established.all().into_iter().collect();
        let alone = |(key, half): &(&FlowKey<V4>, &Embryo<V4>)| {
            !entries.contains_key(&mate(key.protocol, &half.flow.rewrite))
        };
        Ok((entries.len(), entries.iter().filter(alone).count()))
    }

    /// Established entries as the programs count them, and those that are not in their own set.
    pub fn placed(&mut self) -> Result<(u64, u32)> {
        let maps = &self.kernel.parts().0.maps;
        let away = maps
            .flow_tags
            .iter()
            .map(|set| Ok(set?.away & FlowSet::AWAY));
        let away: Result<u32> = away.sum();
        Ok((maps.entries.get(&0, 0)?, away?))
    }

    /// Flows that `LOADS` says each route's backends have.
    pub fn loads(&mut self) -> Result<Vec<Vec<u64>>> {
        let (datapath, image) = self.kernel.parts();
        let load = |backend: &u32| Ok(datapath.maps.loads.get(backend, 0)?.flows());
        let of_route = |route: u32| {
            let id = image.route_id(&name(route)).context("a route's id")?;
            let pool = image.backends.iter().filter(|(_, own)| own.route == id);
            pool.map(|(backend, _)| load(backend)).collect()
        };
        (0..ROUTES).map(of_route).collect()
    }

    /// Flows of TCP and of UDP that `SHARES` says there are.
    pub fn shares(&mut self) -> Result<[u64; 2]> {
        let shares = &self.kernel.parts().0.maps.shares;
        Ok([shares.get(&0, 0)?.flows(), shares.get(&1, 0)?.flows()])
    }

    /// Flows that `SOURCES` says the client holds.
    pub fn held(&mut self, client: Ipv4Addr) -> Result<u32> {
        let sources = &self.kernel.parts().0.maps.sources;
        Ok(sources.get(&client.octets(), 0)?.flows())
    }

    /// Puts the counts out of joint, as an eviction, a lost update or an expiry without a daemon would.
    pub fn confuse(&mut self) -> Result<()> {
        let maps = &mut self.kernel.parts().0.maps;
        for id in 0..maps.loads.len() {
            let load = Load {
                moved: u64::from(id).wrapping_sub(9),
                ..maps.loads.get(&id, 0)?
            };
            maps.loads.set(id, load, 0)?;
        }
        for index in 0..maps.shares.len() {
            let share = Load {
                moved: 12_345,
                ..maps.shares.get(&index, 0)?
            };
            maps.shares.set(index, share, 0)?;
        }
        let known: BTreeSet<V4> = maps.sources.keys().collect::<Result<_, _>>()?;
        for client in known {
            maps.sources.remove(&client)?;
        }
        let idle = Source {
            moved: u32::MAX / 2,
            ..Source::default()
        };
        maps.sources.insert([172, 16, 200, 1], idle, 0)?;
        Ok(())
    }

    /// Kernel memory of the established tier, bytes, as the kernel itself accounts it.
    pub fn memory(&mut self) -> Result<u64> {
        let maps = &self.kernel.parts().0.maps;
        let all = [maps.established.map(), maps.flow_tags.map()];
        all.iter().map(|map| memlock(map)).sum()
    }
}

fn memlock(map: &MapData) -> Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("memlock:"));
    Ok(line.with_context(|| path)?.trim().parse()?)
}

/// One client's flow.
struct Connection {
    route: u32,
    client: Ipv4Addr,
    port: u32,
}

impl Connection {
    fn of(number: u32) -> Self {
        let (route, turn) = (number % ROUTES, number / ROUTES);
        let [_, _, high, low] = (1 + turn % 9973).to_be_bytes();
        Connection {
            route,
            client: if turn % 4 == 0 {
                HEAVY
            } else {
                Ipv4Addr::new(172, 16, high, low)
            },
            // Below the ephemeral ports, so that it is kept, and another one for each flow of the route.
            port: 1024 + turn,
        }
    }

    fn protocol(&self) -> &'static str {
        protocol(self.route)
    }

    /// What opens it, is answered, and proves the client.
    fn opening(&self) -> (&'static str, &'static str, &'static str) {
        match self.protocol() {
            "tcp" => ("S seq=100", "SA seq=500 ack=101", "A seq=101 ack=501"),
            _ => ("", "", ""),
        }
    }

    fn sent_by_client(&self, rest: &str) -> Result<Frame> {
        let (client, port, listen) = (self.client, self.port, LISTEN + self.route);
        let protocol = self.protocol();
        Frame::parse(&format!(
            "{protocol} {client}:{port} > {GATEWAY}:{listen} {rest}"
        ))
    }
}

/// The backend's answer to a packet as it left the gateway.
fn answer_to(sent: &[u8], protocol: &str, rest: &str) -> Result<Frame> {
    let address = |at: usize| -> Result<Ipv4Addr> {
        let bytes: [u8; 4] = sent.get(at..at + 4).context("an IPv4 packet")?.try_into()?;
        Ok(bytes.into())
    };
    let port = |at: usize| -> Result<u16> {
        let bytes = sent.get(at..at + 2).context("ports")?.try_into()?;
        Ok(u16::from_be_bytes(bytes))
    };
    let (source, destination) = (address(26)?, address(30)?);
    let (source_port, destination_port) = (port(34)?, port(36)?);
    Frame::parse(&format!(
        "{protocol} {destination}:{destination_port} > {source}:{source_port} {rest}"
    ))
}

fn name(route: u32) -> String {
    format!("route-{route:02}")
}

fn protocol(route: u32) -> &'static str {
    if route == ROUTES - 1 { "udp" } else { "tcp" }
}

/// The plan, the operators' way: YAML, `config`, `plan`.
fn plan(capacity: u32) -> Result<Plan> {
    let mut text = String::from(
        "gateways: {hosts: {gateway-1: {box-network: {address: 192.168.1.1}}}}\n\
         proxies:\n  target: {group: gateways}\n  routes:\n",
    );
    for route in 0..ROUTES {
        let (name, mode, port) = (name(route), protocol(route), LISTEN + route);
        let timeout = match route {
            0 => format!(", timeout: {{tunnel: {IDLE_S}s}}"),
            _ => String::new(),
        };
        text.push_str(&format!(
            "    {name}: {{mode: {mode}, address: '*', port: {port}, \
             destination: {{addresses: [192.168.1.2, 192.168.1.3], port: {port}}}{timeout}}}\n"
        ));
    }
    text.push_str(&format!(
        "gwpool: {{limits: {{flows: {capacity}, embryonic: 4096, udp_flows: {capacity}, \
         flows_per_source: {capacity}, new_flows_per_source: {}}}}}\n",
        2 * capacity
    ));
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("gwpool-crowd-{}-{number}.yml", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    let loaded = config::load(&Sources {
        inventories: vec![path.clone()],
        extra: Vec::new(),
        node: Some("gateway-1".into()),
    });
    std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
    Ok(loaded.map_err(|report| anyhow::anyhow!("{report}"))?.plan)
}

/// CPU time of this thread, in the kernel included.
fn cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// What a full gateway's sweep costs.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Live flows.
    pub flows: u32,
    /// Time to make one, packets included.
    pub connect: Duration,
    /// CPU of a pass over live flows.
    pub live: Duration,
    /// CPU of a pass that finds every flow over and marks it.
    pub mark: Duration,
    /// CPU of a pass that removes every flow.
    pub remove: Duration,
    /// Kernel memory of the established tier, bytes.
    pub memory: u64,
    /// Flows it has room for.
    pub capacity: u32,
}

/// Measures: makes the flows by packets, sweeps them live, idle and over. [`bed::build`] must have run in this thread.
pub fn figures(flows: u32) -> Result<Figures> {
    let capacity = flows.next_power_of_two();
    let mut crowd = Crowd::new(capacity)?;
    let start = Instant::now();
    crowd.connect(flows)?;
    let connect = start.elapsed() / flows;
    // The first pass finds its way to as much memory as it needs.
    crowd.pass()?;
    let (swept, live) = crowd.pass()?;
    ensure!(swept.flows == 0, "a live flow was removed: {swept:?}");
    crowd.wait(10_000)?;
    let (_, mark) = crowd.pass()?;
    let (swept, remove) = crowd.pass()?;
    ensure!(swept.flows == u64::from(flows), "all are over: {swept:?}");
    Ok(Figures {
        flows,
        connect,
        live,
        mark,
        remove,
        memory: crowd.memory()?,
        capacity,
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            flows,
            connect,
            live,
            mark,
            remove,
            memory,
            capacity,
        } = self;
        let backends = 2 * ROUTES;
        writeln!(
            out,
            "{flows} flows over {backends} backends, {connect:.1?} each to make"
        )?;
        writeln!(
            out,
            "a pass, all live: {live:.0?} CPU; all over, marked: {mark:.0?}; all removed: {remove:.0?}"
        )?;
        let each = *memory as f64 / f64::from(*capacity);
        write!(
            out,
            "established tier: {memory} bytes for {capacity} flows, {each:.2} a flow"
        )
    }
}
