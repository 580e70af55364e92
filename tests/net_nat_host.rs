//! A host that translates has sockets of its own, and containers: their ports are not given out, and however many of
//! them and of inside hosts connect at once to one place outside, from equal ports, each hears its own answer.
//!
//! gateway-2 is the inside host, the client the one outside; a container stands behind gateway-1's own masquerade.

use anyhow::{Context, Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::{self, Datapath};
use gwpool_harness::net::inside::{self, INVENTORY, VIP};
use gwpool_harness::net::site::CLIENT;
use gwpool_harness::net::sockets;
use gwpool_harness::net::world::World;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const CONTAINER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);
/// What answers outside.
const ASKED: u16 = 7000;
/// A port of the host's.
const PORT: u16 = 3000;
/// The ports that everybody connects from: half of them are the host's and the inside host's, half the container's and
/// the inside host's. `GWPOOL_NET_CONNECTS` shortens it.
const FIRST: u16 = 10_000;
const CONNECTS: u16 = 10_000;
/// Threads that connect, of each host.
const THREADS: u16 = 2;

/// As docker does it, but with the address that the host's own sockets have here.
const MASQUERADE: &str = "table ip docker {
chain leave { type nat hook postrouting priority srcnat
  ip saddr 172.17.0.0/16 oifname gateway-network snat to 10.9.0.50
}
}
";

fn up(datapath: Datapath, more: &str) -> Result<World> {
    let inventory = format!(
        "{INVENTORY}gwpool: {{datapath: {}}}\n{more}",
        datapath.name()
    );
    let world = World::with_inventory(datapath, &inventory)?;
    inside::route(&world)?;
    inside::vip(world.site.gateway(1), "add")?;
    Ok(world)
}

/// Who the client sees when the inside host connects from this port.
fn seen(world: &World, listener: &TcpListener, port: u16) -> Result<SocketAddrV4> {
    let to = SocketAddrV4::new(CLIENT, ASKED);
    let own = SocketAddrV4::new(world.site.gateway(2).box_network, port);
    let _stream = sockets::connect_as(inside::host(world), own, to)?;
    Ok(sockets::accept(listener)?.1)
}

fn a_port_is_the_hosts_from_the_moment_it_is_bound(datapath: Datapath) -> Result<()> {
    let world = up(datapath, "")?;
    let gateway = &world.site.gateway(1).namespace;
    let listener = sockets::listen(&world.site.client.namespace, CLIENT, ASKED)?;
    // Neither listens nor speaks: no table of sockets has it.
    let bound = |address: Ipv4Addr, port| -> Result<std::os::fd::OwnedFd> {
        use nix::sys::socket::*;
        let socket = gateway.enter(|| {
            socket(
                AddressFamily::Inet,
                SockType::Stream,
                SockFlag::SOCK_CLOEXEC,
                None,
            )
        })??;
        bind(
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            &SockaddrIn::from(SocketAddrV4::new(address, port)),
        )?;
        Ok(socket)
    };
    let anywhere = bound(Ipv4Addr::UNSPECIFIED, PORT)?;
    let there = bound(VIP, PORT + 1)?;
    let elsewhere = bound(Ipv4Addr::LOCALHOST, PORT + 2)?;
    let _listens = sockets::listen(gateway, Ipv4Addr::UNSPECIFIED, PORT + 3)?;
    for held in [PORT, PORT + 1, PORT + 3] {
        let from = seen(&world, &listener, held)?;
        assert_eq!(*from.ip(), VIP);
        assert_ne!(from.port(), held, "it is the host's");
    }
    assert_eq!(seen(&world, &listener, PORT + 2)?.port(), PORT + 2);
    let udp: UdpSocket = sockets::udp(gateway, Ipv4Addr::UNSPECIFIED, PORT)?;
    let asked = sockets::udp(&world.site.client.namespace, CLIENT, ASKED)?;
    asked.set_read_timeout(Some(LIMIT))?;
    let own = world.site.gateway(2).box_network;
    let talker = sockets::udp(inside::host(&world), own, PORT)?;
    talker.send_to(b"hello", SocketAddrV4::new(CLIENT, ASKED))?;
    let (_, from) = asked.recv_from(&mut [0; 8])?;
    assert_ne!(from.port(), PORT, "UDP's, too");
    drop((anywhere, there, elsewhere, udp));
    // Closed, it is anybody's.
    drop(bound(VIP, PORT + 9)?);
    assert_eq!(seen(&world, &listener, PORT + 9)?.port(), PORT + 9);
    Ok(())
}

/// Connects from `from` and says who it is; the answer must be that.
fn asks(from: SocketAddrV4, name: &str) -> Result<()> {
    let to = SocketAddrV4::new(CLIENT, ASKED);
    let mut stream = here_connect(from, to).with_context(|| format!("{name} from {from}"))?;
    let word = format!("{name:>8}{:>8}", from.port());
    stream.write_all(word.as_bytes())?;
    let mut heard = String::new();
    stream.read_to_string(&mut heard)?;
    ensure!(
        heard == word,
        "{name} at {from} said {word:?}, heard {heard:?}"
    );
    Ok(())
}

/// In the namespace of the calling thread.
fn here_connect(from: SocketAddrV4, to: SocketAddrV4) -> Result<TcpStream> {
    use nix::sys::socket::*;
    use nix::sys::time::{TimeVal, TimeValLike as _};
    use std::os::fd::AsRawFd as _;
    let socket = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    let limit = TimeVal::seconds(LIMIT.as_secs() as i64);
    setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
    setsockopt(&socket, sockopt::SendTimeout, &limit)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(from))?;
    connect(socket.as_raw_fd(), &SockaddrIn::from(to))?;
    Ok(TcpStream::from(socket))
}

/// Says back what it is told, to so many.
fn answers(listener: &TcpListener, count: usize) -> Result<()> {
    listener.set_nonblocking(false)?;
    for _ in 0..count {
        let (mut stream, _) = listener.accept()?;
        let mut word = [0; 16];
        stream.read_exact(&mut word)?;
        stream.write_all(&word)?;
    }
    Ok(())
}

fn everybody_hears_his_own_answer(datapath: Datapath) -> Result<()> {
    let world = up(datapath, "")?;
    let gateway = world.site.gateway(1);
    let container = fabric::host(&world.site, "container")?;
    fabric::wire(
        (&gateway.namespace, "docker0", "172.17.0.1/16"),
        (&container, "eth0", "172.17.0.2/16"),
    )?;
    container.ip(&["route add default via 172.17.0.1".into()])?;
    gateway.namespace.nft(MASQUERADE)?;
    let connects = std::env::var("GWPOOL_NET_CONNECTS")
        .ok()
        .map_or(Ok(CONNECTS), |text| text.parse())?;
    let half = connects / 2;
    let listener = sockets::listen(&world.site.client.namespace, CLIENT, ASKED)?;
    let own = world.site.gateway(2).box_network;
    let runs = [
        ("inside", inside::host(&world), own, 0..connects),
        ("host", &gateway.namespace, VIP, 0..half),
        ("docked", &container, CONTAINER, half..connects),
    ];
    let total = runs.iter().map(|(.., ports)| ports.len()).sum::<usize>();
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| -> Result<()> {
        let mut askers = Vec::new();
        for (name, namespace, address, ports) in &runs {
            for thread in 0..THREADS {
                let (ports, failed) = (ports.clone(), &failed);
                askers.push(scope.spawn(move || -> Result<()> {
                    namespace.enter_here()?;
                    for offset in ports.skip(thread.into()).step_by(THREADS.into()) {
                        let from = SocketAddrV4::new(*address, FIRST + offset);
                        asks(from, name).inspect_err(|_| {
                            failed.fetch_add(1, Ordering::Relaxed);
                        })?;
                    }
                    Ok(())
                }));
            }
        }
        let listener = &listener;
        let answering = scope.spawn(move || answers(listener, total));
        for asker in askers {
            asker.join().expect("a thread that asks ends")?;
        }
        answering.join().expect("the one that answers ends")
    })?;
    assert_eq!(failed.into_inner(), 0);
    let stats = gateway.stats()?;
    println!(
        "{total} connections from equal ports; the host's own changed: {} packets",
        stats.reasons["host_translated"]
    );
    assert!(stats.reasons["host_translated"] > 0, "nobody met");
    Ok(())
}

/// Grafana, on a host that is both.
const ROUTE: &str = "
proxies:
  target: {group: nat}
  routes:
    grafana: {mode: tcp, address: 10.9.0.50, port: 3000, destination: {addresses: [192.168.1.3], port: 3001}}
";

fn a_route_on_the_vip_beside_translation(datapath: Datapath) -> Result<()> {
    let mut world = up(datapath, ROUTE)?;
    let third = world.site.gateway(3).namespace.clone();
    world.serve_at(&third, "grafana", &[3001])?;
    let grafana = SocketAddrV4::new(VIP, 3000);
    assert_eq!(world.site.client.get(grafana, "/")?.backend, "grafana");
    let listener = sockets::listen(&world.site.client.namespace, CLIENT, ASKED)?;
    // The port that the route listens on is no inside host's.
    assert_ne!(seen(&world, &listener, 3000)?.port(), 3000);
    assert_eq!(seen(&world, &listener, 3002)?, SocketAddrV4::new(VIP, 3002));
    assert_eq!(world.site.client.get(grafana, "/")?.backend, "grafana");
    Ok(())
}

in_native_and_tc! {
    a_port_is_the_hosts_from_the_moment_it_is_bound
    everybody_hears_his_own_answer
    a_route_on_the_vip_beside_translation
}
