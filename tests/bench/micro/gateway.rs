//! A gateway whose programs are run: as users load them, with the plan that the daemon would lay for one TCP route to
//! 64 backends, and flows made by packets.

use super::laps::{Course, Laps, fd};
use anyhow::{Context, Result, bail, ensure};
use aya::programs::{Program, ProgramFd, TestRun, TestRunOptions, XdpMode};
use gwpool_common::flow::FlowKey;
use gwpool_ebpf::pair::mate;
use gwpool_floors::{HEADERS, client};
use gwpool_harness::bed::{self, BOX_NETWORK, GATEWAY_NETWORK};
use gwpool_harness::kernel;
use gwpool_user::datapath::Datapath;
use gwpool_user::plan::{self, Backend, Limits, Plan, Route};
use std::net::Ipv4Addr;

/// Backends of the route.
const BACKENDS: u8 = 64;
/// The first one's place on box-network.
const FIRST: u8 = 10;
/// Room for as many routes as are tried, with two backends each.
const MANY: u32 = 16_384;
/// The first client that has no flow.
pub const NEVER: u32 = 1 << 17;
/// Flows that are opened at a time: they fit into the embryonic tier, whose sets do not fill evenly.
const STEP: u32 = 4_096;
/// Where the route listens, and where its backends do.
const LISTEN: u16 = 80;

/// A client's packets to the route, and others; who the client is every lap says anew.
pub const SYN: [u8; HEADERS] = segment(OWN, LISTEN, flags::SYN);
/// In the middle of a connection.
pub const DATA: [u8; HEADERS] = segment(OWN, LISTEN, flags::ACK);
/// What proves that the client has heard the backend.
pub const PROOF: [u8; HEADERS] = DATA;
/// To a port of this host that no route has.
pub const STRAY: [u8; HEADERS] = segment(OWN, 81, flags::ACK);
/// To another host.
pub const PAST: [u8; HEADERS] = segment([10, 9, 0, 77], LISTEN, flags::ACK);

const OWN: [u8; 4] = [10, 9, 0, 1];
/// The backend's initial sequence number is one less.
const ACKNOWLEDGED: u32 = 1;

mod flags {
    pub const SYN: u8 = 0x02;
    pub const ACK: u8 = 0x10;
}

/// Where a packet meets the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `gwpool_xdp`.
    Xdp,
    /// `gwpool_ingress`.
    Tc,
    /// `gwpool_egress`.
    Egress,
}

impl Hook {
    fn program(self) -> &'static str {
        match self {
            Hook::Xdp => "gwpool_xdp",
            Hook::Tc => "gwpool_ingress",
            Hook::Egress => "gwpool_egress",
        }
    }
}

/// 198.18.0.0 (RFC 2544) to `destination`; a frame of 64 bytes.
const fn segment(destination: [u8; 4], port: u16, flags: u8) -> [u8; HEADERS] {
    let mut frame = [0; HEADERS];
    frame[0] = 2;
    frame[5] = 1;
    frame[6] = 2;
    frame[11] = 2;
    frame[12] = 8;
    frame[14] = 0x45;
    frame[17] = (HEADERS - 14) as u8;
    frame[22] = 64;
    frame[23] = 6;
    frame[26] = 198;
    frame[27] = 18;
    let mut byte = 0;
    while byte < 4 {
        frame[30 + byte] = destination[byte];
        byte += 1;
    }
    frame[36] = (port >> 8) as u8;
    frame[37] = port as u8;
    frame[45] = ACKNOWLEDGED as u8;
    frame[46] = 0x50;
    frame[47] = flags;
    frame
}

/// Makes the calling thread's network namespace the gateway's, with the backends as neighbours; the thread stays on one
/// CPU.
pub fn build() -> Result<()> {
    bed::build()?;
    for place in FIRST..FIRST + BACKENDS {
        bed::neighbour("box-network", Ipv4Addr::new(192, 168, 1, place))?;
    }
    Ok(())
}

/// One gateway's programs and tables.
pub struct Gateway {
    datapath: Datapath,
    /// The next client that nobody has been.
    next: u32,
}

impl Gateway {
    /// Loads the programs; `flows`: `gwpool.limits.flows`, else the default. [`build`] must have run in this thread.
    pub fn new(flows: Option<u32>) -> Result<Gateway> {
        Gateway::on(&plan(flows)?)
    }

    /// The same with so many routes, of which the one that is asked for is the last.
    pub fn among(routes: usize) -> Result<Gateway> {
        let mut plan = plan(None)?;
        let last = plan.routes.remove(0);
        let other = |number: usize| Route {
            name: format!("other-{number}"),
            port: 10_000 + number as u16,
            backends: last.backends[..2].to_vec(),
            ..last.clone()
        };
        plan.routes = (1..routes).map(other).collect();
        plan.routes.push(last);
        plan.limits.routes = MANY;
        plan.limits.listeners = MANY;
        plan.limits.backends = 2 * MANY;
        Gateway::on(&plan)
    }

    fn on(plan: &Plan) -> Result<Gateway> {
        let mut datapath = Datapath::load(&kernel::object()?, &plan.limits)?;
        let installed = datapath.installed()?;
        let host = bed::host((32_768, 60_999));
        let difference = plan::diff::diff(&installed, plan, &host)?;
        datapath.apply(&difference.writes)?;
        Ok(Gateway {
            datapath,
            next: 1 << 20,
        })
    }

    /// The kernel lends XDP only a queue that an XDP program has been attached to (xdp_convert_md_to_buff): once in a
    /// namespace.
    pub fn lend(&mut self) -> Result<()> {
        for name in bed::names() {
            let clock = self.datapath.xdp("gwpool_clock")?;
            clock
                .attach(name, XdpMode::Driver)
                .with_context(|| format!("XDP on {name}"))?;
        }
        Ok(())
    }

    /// So many clients that were never used.
    pub fn unused(&mut self, count: u32) -> u32 {
        self.next += count;
        self.next - count
    }

    /// Runs the program that a client's packet meets.
    pub fn run(
        &mut self,
        laps: &mut Laps,
        hook: Hook,
        headers: [u8; HEADERS],
        course: Course,
        count: u32,
    ) -> Result<f64> {
        let program = self.datapath.program(hook.program())?;
        let interfaces = match hook {
            Hook::Egress => (GATEWAY_NETWORK, BOX_NETWORK),
            _ => (0, GATEWAY_NETWORK),
        };
        let context = kernel::context(program, interfaces, HEADERS)?;
        let fd: ProgramFd = fd(program)?.try_clone()?;
        laps.run(
            &fd,
            hook == Hook::Xdp,
            headers,
            course,
            Some(&context),
            count,
        )
    }

    /// A single packet; what it became.
    fn send(&self, interface: u32, frame: &[u8; HEADERS]) -> Result<[u8; HEADERS]> {
        const REDIRECT: u32 = 4;
        let program = self.datapath.program(Hook::Xdp.program())?;
        let mut out = [0; HEADERS];
        let context = kernel::context(program, (0, interface), HEADERS)?;
        let Program::Xdp(program) = program else {
            bail!("no XDP program");
        };
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        options.ctx_in = Some(&context);
        let result = program.test_run(options)?;
        ensure!(
            result.return_value == REDIRECT,
            "sent on was expected, XDP said {}",
            result.return_value
        );
        Ok(out)
    }

    /// Opens flows whose backends have answered.
    pub fn answered(&mut self, first: u32, count: u32) -> Result<()> {
        for number in first..first + count {
            let sent = self.send(GATEWAY_NETWORK, &of(&SYN, number))?;
            let mut answer = sent;
            answer[26..30].copy_from_slice(&sent[30..34]);
            answer[30..34].copy_from_slice(&sent[26..30]);
            answer[34..36].copy_from_slice(&sent[36..38]);
            answer[36..38].copy_from_slice(&sent[34..36]);
            answer[22] = 64;
            answer[38..42].copy_from_slice(&(ACKNOWLEDGED - 1).to_be_bytes());
            answer[47] = flags::SYN | flags::ACK;
            self.send(BOX_NETWORK, &answer)?;
        }
        Ok(())
    }

    /// Establishes the first `count` clients' flows.
    pub fn establish(&mut self, laps: &mut Laps, count: u32) -> Result<()> {
        let mut first = 0;
        while first < count {
            let some = STEP.min(count - first);
            self.answered(first, some)?;
            self.run(laps, Hook::Xdp, PROOF, Course::onward(first), some)?;
            first += some;
        }
        let entries = self.datapath.flows.established.all().len();
        ensure!(
            entries == 2 * count as usize,
            "{entries} entries are established, not {}",
            2 * count
        );
        Ok(())
    }

    /// Empties the embryonic tier.
    pub fn forget(&mut self) -> Result<()> {
        Ok(self.datapath.flows.embryonic.clear()?)
    }

    /// Takes these clients' established flows away again.
    pub fn retire(&mut self, first: u32, count: u32) -> Result<()> {
        let tier = &self.datapath.flows.established;
        for number in first..first + count {
            let (host, port) = client(number);
            let key = FlowKey {
                source: [198, 18, host[0], host[1]],
                destination: OWN,
                source_port: port,
                destination_port: LISTEN.to_be_bytes(),
                protocol: 6,
                pad: [0; 3],
            };
            let half = tier.get(&key)?.context("a flow that was not promoted")?;
            tier.remove(&mate(key.protocol, &half.flow.rewrite))?;
            tier.remove(&key)?;
        }
        Ok(())
    }
}

/// The packet, of this client.
fn of(packet: &[u8; HEADERS], number: u32) -> [u8; HEADERS] {
    let mut packet = *packet;
    let (host, port) = client(number);
    packet[28..30].copy_from_slice(&host);
    packet[34..36].copy_from_slice(&port);
    packet
}

/// The plan: one TCP route, 64 backends of equal weight.
fn plan(flows: Option<u32>) -> Result<Plan> {
    let mut plan = bed::plan("seed", None)?;
    let backend = |place: u8| Backend {
        name: format!("backend-{place}"),
        address: Some(Ipv4Addr::new(192, 168, 1, place)),
        port: LISTEN,
        weight: 1,
    };
    plan.routes = vec![Route {
        name: "web".to_owned(),
        port: LISTEN,
        network: "box-network".to_owned(),
        backends: (FIRST..FIRST + BACKENDS).map(backend).collect(),
        ..Route::default()
    }];
    plan.limits = Limits {
        flows: flows.unwrap_or(Limits::default().flows),
        ..Limits::default()
    };
    Ok(plan)
}
