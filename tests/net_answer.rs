//! What the gateway says by itself, heard by real programs: refusals, traceroute, path MTU discovery where the gateway's
//! own link is the narrow one and where a router's behind it is; and that what is on the wire is right.

use anyhow::{Context, Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::{self, Datapath};
use gwpool_harness::net::namespace::{Namespace, output};
use gwpool_harness::net::nginx::Nginx;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::sockets::{self, carry, connect, listen, pair};
use gwpool_harness::net::wait::wait_for;
use gwpool_harness::net::wire::{Packet, Tap};
use gwpool_harness::net::world::World;
use nix::sys::socket::{getsockopt, sockopt::IpMtu};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

const ROUTES: &str = r#"
    web: {mode: tcp, address: "*", port: 8081, destination: {addresses: [192.168.1.2], port: 8080}}
    dns: {mode: udp, address: "*", port: 8053, destination: {addresses: [192.168.1.2], port: 53}}
    closed: {mode: udp, address: "*", port: 8055, destination: {addresses: [192.168.1.2], port: 9}}
    far: {mode: tcp, address: "*", port: 8082, destination: {addresses: [172.16.0.2], port: 8080}}
    nobody: {mode: tcp, address: "*", port: 8083, weight: 0, destination: {addresses: [192.168.1.2], port: 8080}}
    silent: {mode: udp, address: "*", port: 8054, weight: 0, destination: {addresses: [192.168.1.2], port: 53}}
    guarded: {mode: tcp, address: "*", port: 8084, deny: [10.9.0.100], destination: {addresses: [192.168.1.2], port: 8080}}
    secret: {mode: udp, address: "*", port: 8056, deny: [10.9.0.100], destination: {addresses: [192.168.1.2], port: 53}}
"#;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const WEB: u16 = 8081;
const DNS: u16 = 8053;
const CLOSED: u16 = 8055;
const FAR: u16 = 8082;
const NOBODY: u16 = 8083;
const SILENT: u16 = 8054;
const GUARDED: u16 = 8084;
const SECRET: u16 = 8056;
/// Where the backends listen.
const BACKEND: u16 = 8080;
/// The narrow link's MTU, and a datagram that does not fit.
const NARROW: u16 = 1300;
const WIDE: usize = 1400;
const BODY: u64 = 2_000_000;

/// The site's links, and a host `far` behind a router whose link to it is narrow.
struct Ground {
    world: World,
    far: Namespace,
}

impl Ground {
    fn up(datapath: Datapath) -> Result<Ground> {
        let world = World::with_routes(datapath, ROUTES)?;
        let site = &world.site;
        let (router, far) = (fabric::host(site, "router")?, fabric::host(site, "far")?);
        let place = Ipv4Addr::new(192, 168, 1, 30);
        fabric::plug(site, datapath, (&router, "router"), "box-network", place)?;
        let ends = (
            (&router, "narrow", "172.16.0.1/24"),
            (&far, "eth0", "172.16.0.2/24"),
        );
        fabric::wire(ends.0, ends.1)?;
        router.ip(&[format!("link set narrow mtu {NARROW}")])?;
        // The far end's own is not: else it would ask for small segments from the beginning.
        far.ip(&["route add default via 172.16.0.1".into()])?;
        let route = "route add 172.16.0.0/24 via 192.168.1.30".into();
        site.gateway(1).namespace.ip(&[route])?;
        Ok(Ground { world, far })
    }

    fn client(&self) -> &Namespace {
        &self.world.site.client.namespace
    }

    fn gateway(&self) -> &Namespace {
        &self.world.site.gateway(1).namespace
    }

    fn backend(&self) -> &Namespace {
        &self.world.site.gateway(2).namespace
    }

    /// Packets that ended for this reason.
    fn ended(&self, reason: &str) -> Result<u64> {
        Ok(self.world.site.gateway(1).stats()?.reasons[reason])
    }

    /// A client's socket that hears only the gateway, and its errors.
    fn asking(&self, port: u16) -> Result<UdpSocket> {
        let socket = sockets::udp(self.client(), ANY, 0)?;
        socket.connect((GATEWAY, port))?;
        Ok(socket)
    }

    /// What became of one datagram: the error that the socket is told.
    fn refusal(&self, port: u16) -> Result<ErrorKind> {
        let socket = self.asking(port)?;
        socket.send(b"question")?;
        let told = socket.recv(&mut [0; 10]).err();
        Ok(told.context("an answer came")?.kind())
    }

    /// The addresses of the hops that traceroute shows, "*" where none answered.
    fn trace(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let mut command = self.client().command("traceroute");
        command.args(["-n", "-q", "1", "-N", "1", "-w", "3", "-m", "4"]);
        let text = output(command.args(arguments).arg(GATEWAY.to_string()))?;
        let hops = text.lines().skip(1);
        Ok(hops
            .filter_map(|line| line.split_whitespace().nth(1))
            .map(str::to_owned)
            .collect())
    }

    /// Much, out to the backend.
    fn uploads(&self, port: u16, host: &Namespace) -> Result<()> {
        let body: Vec<u8> = Payload::new(BODY).flatten().collect();
        let listener = listen(host, ANY, BACKEND)?;
        let ends = pair(
            self.client(),
            0,
            SocketAddrV4::new(GATEWAY, port),
            &listener,
        )?;
        carry(&ends.client, &ends.backend, &body).context("to the backend")
    }

    /// Much, back to the client: by a socket, and by nginx to curl.
    fn downloads(&self, port: u16, host: &Namespace) -> Result<()> {
        let to = SocketAddrV4::new(GATEWAY, port);
        let body: Vec<u8> = Payload::new(BODY).flatten().collect();
        {
            let listener = listen(host, ANY, BACKEND)?;
            let ends = pair(self.client(), 0, to, &listener)?;
            carry(&ends.backend, &ends.client, &body).context("to the client")?;
        }
        let root = self.world.site.directory.join(format!("nginx-{port}"));
        let _nginx = Nginx::start(host, &root, BACKEND, BODY)?;
        let file = root.join("fetched");
        let url = format!("http://{to}/bytes/{BODY}");
        output(
            self.client()
                .command("curl")
                .args(["-sS", "-m", "60", "-o"])
                .arg(&file)
                .arg(url),
        )?;
        ensure!(std::fs::read(&file)? == body, "curl got other bytes");
        Ok(())
    }
}

/// The route has no backend, or does not want this client.
fn who_is_refused_hears_it_at_once(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let refused = |port| {
        let to = SocketAddrV4::new(GATEWAY, port);
        let error = connect(ground.client(), 0, to)
            .err()
            .context("it connects")?;
        let error = error.downcast_ref::<std::io::Error>().map(|io| io.kind());
        anyhow::Ok(error)
    };
    assert_eq!(refused(NOBODY)?, Some(ErrorKind::ConnectionRefused));
    assert_eq!(refused(GUARDED)?, Some(ErrorKind::ConnectionRefused));
    let curl = ground
        .client()
        .command("curl")
        .args(["-s", "-m", "60"])
        .arg(format!("http://{GATEWAY}:{NOBODY}/"))
        .output()?;
    // curl(1): 7, failed to connect; 28 would be a timeout.
    assert_eq!(curl.status.code(), Some(7));
    assert_eq!(ground.refusal(SILENT)?, ErrorKind::ConnectionRefused);
    assert_eq!(ground.refusal(SECRET)?, ErrorKind::HostUnreachable);
    assert_eq!(ground.ended("no_live_backend")?, 3);
    assert_eq!(ground.ended("denied")?, 2);
    Ok(())
}

/// The gateway is the first hop, the backend's answer comes after it; ping is the gateway's own.
fn traceroute_shows_the_gateway(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let _listener = listen(ground.backend(), ANY, BACKEND)?;
    let hops = |count| vec![GATEWAY.to_string(); count];
    assert_eq!(
        ground.trace(&["-T", "-p", &WEB.to_string()])?,
        hops(2),
        "by TCP"
    );
    assert_eq!(
        ground.trace(&["-U", "-p", &CLOSED.to_string()])?,
        hops(2),
        "by UDP"
    );
    assert_eq!(ground.trace(&["-I"])?, hops(1), "by ICMP");
    assert_eq!(ground.ended("ttl_expired")?, 2);
    // A hop further: the router's word comes back by way of the gateway.
    let _far = listen(&ground.far, ANY, BACKEND)?;
    assert_eq!(
        ground.trace(&["-T", "-p", &FAR.to_string()])?,
        hops(3),
        "to a host behind a router"
    );
    Ok(())
}

/// Both links of the gateway, each in turn, are narrow in the direction of what leaves by them; a veth takes in no
/// frame above its own MTU.
fn connections_fit_the_gateways_own_links(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    for link in ["box-network", "gateway-network"] {
        let set = |mtu: u16| ground.gateway().ip(&[format!("link set {link} mtu {mtu}")]);
        let before = ground.ended("too_big")?;
        set(NARROW)?;
        let carried = match link {
            "box-network" => ground.uploads(WEB, ground.backend()),
            _ => ground.downloads(WEB, ground.backend()),
        };
        carried.context(link)?;
        set(1500)?;
        ensure!(
            ground.ended("too_big")? > before,
            "{link}: nothing was too big"
        );
        for host in [ground.client(), ground.backend()] {
            host.ip(&["route flush cache".into()])?;
        }
    }
    Ok(())
}

fn connections_fit_a_routers_link(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    ground.uploads(FAR, &ground.far)?;
    ensure!(ground.ended("icmp_error")? > 0, "the router said nothing");
    Ok(())
}

/// The client's socket learns the MTU; the backend's kernel, too, and makes fragments of the next answer.
fn datagrams_learn_the_mtu(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let backend = sockets::udp(ground.backend(), ANY, 53)?;
    let client = ground.asking(DNS)?;
    client.send(b"question")?;
    let (_, seen) = backend.recv_from(&mut [0; 100])?;

    let set = |link: &str, mtu: u16| ground.gateway().ip(&[format!("link set {link} mtu {mtu}")]);
    set("box-network", NARROW)?;
    client.set_read_timeout(Some(LIMIT / 20))?;
    // What the gateway knows of its link it asks again once a second.
    wait_for("the client to be told", LIMIT, || {
        let heard = client
            .send(&[7; WIDE])
            .and_then(|_| client.recv(&mut [0; 10]));
        let told = heard.err().and_then(|error| error.raw_os_error());
        ensure!(told == Some(nix::libc::EMSGSIZE), "{told:?}");
        Ok(())
    })?;
    assert_eq!(getsockopt(&client, IpMtu)?, i32::from(NARROW));
    set("box-network", 1500)?;

    set("gateway-network", NARROW)?;
    let length = wait_for("the answer in fragments", LIMIT, || {
        backend.send_to(&[8; WIDE], seen)?;
        Ok(client.recv(&mut [0; 2 * WIDE])?)
    })?;
    assert_eq!(length, WIDE);
    ensure!(ground.ended("too_big")? >= 2, "both senders were told");
    Ok(())
}

/// With the gateway's own checksum offload off nothing is left to be finished by whoever receives it: every sum must
/// be right in the bytes, also where the client has left its own to the wire.
fn sums_are_right_on_the_wire(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let off = ["-K", "gateway-network", "tx", "off"];
    output(ground.gateway().command("ethtool").args(off))?;
    let tap = Tap::open(ground.client())?;
    let answer = |what, is: fn(&Packet) -> bool| tap.next(what, is);

    let to = SocketAddrV4::new(GATEWAY, NOBODY);
    ensure!(connect(ground.client(), 0, to).is_err(), "it connects");
    let reset = answer("the reset", |packet| packet.protocol() == 6)?;
    assert_eq!((reset.header_sum(), reset.tcp_sum()), ("right", "right"));

    for (port, ttl, kind) in [(SILENT, 64, (3, 3)), (DNS, 1, (11, 0))] {
        let socket = ground.asking(port)?;
        socket.set_ttl(ttl)?;
        socket.send(b"an odd length")?;
        let error = answer("the error", |packet| packet.protocol() == 1)?;
        let icmp = error.transport();
        assert_eq!((icmp[0], icmp[1]), kind);
        assert_eq!((error.header_sum(), error.icmp_sum()), ("right", "right"));
        assert_eq!(Packet(icmp[8..].to_vec()).header_sum(), "right");
    }
    Ok(())
}

in_native_and_tc! {
    who_is_refused_hears_it_at_once
    traceroute_shows_the_gateway
    connections_fit_the_gateways_own_links
    connections_fit_a_routers_link
    datagrams_learn_the_mtu
    sums_are_right_on_the_wire
}
