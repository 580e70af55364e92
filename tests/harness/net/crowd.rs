//! The ground of the floods: a gateway with small tables, two backends, and many live connections of ten clients.
//! A flood is sent from the clients' side while all of them speak and new ones come.

use super::LIMIT;
use super::fabric::Datapath;
use super::flood::Flood;
use super::gateway::Gateway;
use super::namespace::Namespace;
use super::site::{self, CLIENT};
use super::sockets::{self, Pair, listen};
use super::wait::wait_until;
use super::world::World;
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const ROUTES: &str = r#"
    held: {mode: tcp, address: "*", port: 8081, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 8080}}
    fresh: {mode: tcp, address: "*", port: 8082, destination: {addresses: [192.168.1.2], port: 8082}}
    echo: {mode: udp, address: "*", port: 8053, destination: {addresses: [192.168.1.2], port: 7}}
"#;
/// Where gateway-1 listens: for the long connections, for the new ones, and for datagrams to gateway-2's port 7.
pub const HELD: u16 = 8081;
/// See [`HELD`].
pub const FRESH: u16 = 8082;
/// See [`HELD`].
pub const ECHO: u16 = 8053;
const WEB: u16 = 8080;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Packets a second of a flood.
const FLOOD_RATE: u32 = 50_000;
/// Long connections, where nothing else is wanted.
pub const LIVE: usize = 1000;
/// They are ten clients': none has more than its share.
const CLIENTS: usize = 10;

/// The clients that have the long connections.
pub fn clients() -> [Ipv4Addr; CLIENTS] {
    std::array::from_fn(|number| Ipv4Addr::new(10, 9, 0, 110 + number as u8))
}

/// Another one, which takes what it gets.
pub const GREEDY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 130);

/// Who came meanwhile. Lost: a handshake whose flow was evicted in its middle.
#[derive(Default)]
struct Newcomers {
    served: u64,
    lost: u64,
    took: Duration,
}

/// A gateway, its backends, and the connections.
pub struct Crowd {
    /// Everything else.
    pub world: World,
    /// The long connections.
    pub live: Vec<Pair>,
    listeners: [TcpListener; 2],
}

impl Crowd {
    /// With these `gwpool.limits`, and so many connections.
    pub fn up(datapath: Datapath, limits: &str, live: usize) -> Result<Crowd> {
        allow_open_files()?;
        let inventory = site::limited_inventory(ROUTES, datapath, limits);
        let mut world = World::with_inventory(datapath, &inventory)?;
        let site = world.site.clone();
        world.serve_at(&site.gateway(2).namespace, "fresh", &[FRESH])?;
        // What answers the flood must leave the gateway, as it would to the world.
        site.gateway(1)
            .namespace
            .ip(&[format!("route add default via {CLIENT}")])?;
        for address in clients().into_iter().chain([GREEDY]) {
            let add = format!("addr add {address}/24 dev gateway-network");
            site.client.namespace.ip(&[add])?;
        }
        let hosts = [site.gateway(2), site.gateway(3)];
        let listeners = hosts.map(|gateway| listen(&gateway.namespace, ANY, WEB));
        let [one, other] = listeners;
        let mut crowd = Crowd {
            world,
            live: Vec::new(),
            listeners: [one?, other?],
        };
        for number in 0..live {
            let pair = crowd.pair(clients()[number % CLIENTS])?;
            crowd.live.push(pair);
        }
        crowd.all_speak("before")?;
        ensure!(crowd.established()? == live as u64, "not all are proved");
        Ok(crowd)
    }

    /// One more of the long connections, which take turns.
    pub fn pair(&self, from: Ipv4Addr) -> Result<Pair> {
        let client = self.connect(from)?;
        let (backend, seen) = sockets::accept(&self.listeners[self.live.len() % 2])?;
        Ok(Pair {
            client,
            backend,
            seen,
        })
    }

    /// One more, which no backend's program has accepted yet.
    pub fn connect(&self, from: Ipv4Addr) -> Result<TcpStream> {
        let to = self.gateway().front(HELD);
        sockets::connect_as(self.client(), SocketAddrV4::new(from, 0), to)
    }

    /// The one under test.
    pub fn gateway(&self) -> &Gateway {
        self.world.site.gateway(1)
    }

    /// Where all clients are.
    pub fn client(&self) -> &Namespace {
        &self.world.site.client.namespace
    }

    /// Flows in the established table.
    pub fn established(&self) -> Result<u64> {
        Ok(self.gateway().stats()?.datapath.flows.established)
    }

    /// A question and an answer on every connection.
    pub fn all_speak(&self, when: &str) -> Result<()> {
        for (number, pair) in self.live.iter().enumerate() {
            question(pair, number).with_context(|| format!("connection {number} {when}"))?;
        }
        Ok(())
    }

    /// New connections, one after the other, until `over`.
    fn newcomers(&self, over: &AtomicBool) -> Newcomers {
        let to = self.gateway().front(FRESH);
        let (begin, mut newcomers) = (Instant::now(), Newcomers::default());
        while !over.load(Relaxed) {
            match self.world.site.client.get(to, "/") {
                Ok(_) => newcomers.served += 1,
                Err(_) => newcomers.lost += 1,
            }
        }
        newcomers.took = begin.elapsed();
        newcomers
    }

    /// Floods from the client's side while every connection goes on and new ones come.
    pub fn under(&self, name: &str, packets: impl Iterator<Item = Vec<u8>> + Send) -> Result<()> {
        let (over, counted) = (AtomicBool::new(false), self.counted()?);
        let flood = Flood::from(self.client())?.paced(FLOOD_RATE);
        let (sent, newcomers) = std::thread::scope(|scope| {
            let newcomers = scope.spawn(|| self.newcomers(&over));
            let flooding = scope.spawn(|| {
                let sent = flood.send(packets);
                over.store(true, Relaxed);
                sent
            });
            let mut spoke = Ok(());
            while !over.load(Relaxed) && spoke.is_ok() {
                spoke = self.all_speak("under the flood");
            }
            let join = "a thread of this test does not panic";
            let (sent, newcomers) = (flooding.join().expect(join), newcomers.join().expect(join));
            spoke?;
            anyhow::Ok((sent?, newcomers))
        })?;
        let Newcomers { served, lost, took } = newcomers;
        let (packets, rate) = (sent as f64, served as f64 / took.as_secs_f64());
        println!(
            "{name}: {packets} packets, {:.0} a second; new connections meanwhile: {served}, {rate:.0} a second, {lost} \
             that had to be asked for again",
            packets / took.as_secs_f64()
        );
        ensure!(
            served > 3 * lost,
            "{served} new connections came through, {lost} did not"
        );
        wait_until("the flood to have come in", LIMIT, || {
            self.counted().is_ok_and(|now| now > counted + sent / 2)
        })?;
        self.all_speak("after the flood")
    }

    /// Packets that came to the gateway.
    fn counted(&self) -> Result<u64> {
        Ok(self.gateway().stats()?.reasons.values().sum())
    }
}

fn question(pair: &Pair, number: usize) -> Result<()> {
    let (mut client, mut backend) = (&pair.client, &pair.backend);
    let (words, mut heard) = (number.to_be_bytes(), [0; 8]);
    client.write_all(&words)?;
    backend.read_exact(&mut heard)?;
    ensure!(heard == words, "the backend heard {heard:?}");
    backend.write_all(&heard)?;
    client.read_exact(&mut heard)?;
    ensure!(heard == words, "the client heard {heard:?}");
    Ok(())
}

/// A connection has two ends here.
fn allow_open_files() -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = (4 * LIVE as u64).max(soft);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).context("many open files")
}
