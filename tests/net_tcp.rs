//! A TCP connection's life through a gateway, with real sockets at both ends: half-closes, resets, both closing at
//! once, the same ports again while the backend still remembers them, a SYN that is lost, both opening at once.

use anyhow::{Result, ensure};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::sockets::{
    self, Pair, accept, carry, close_half, connect, listen, pair, reset, rest,
};
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::wire::Tap;
use gwpool_harness::net::world::World;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::Barrier;

const ROUTES: &str = r#"
    one: {mode: tcp, address: "*", port: 8081, destination: {addresses: [192.168.1.2], port: 8080}}
    two: {mode: tcp, timeout: {connect: 1m}, address: "*", port: 8082, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 8080}}
"#;

/// Where gateway-1 listens for `one` and for `two`, and where their backends do.
const ONE: u16 = 8081;
const TWO: u16 = 8082;
const BACKEND: u16 = 8080;
/// A client's port that source NAT must change, as most are.
const CLIENT: u16 = 40_000;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A gateway under test and one backend's listener.
struct Ground {
    world: World,
    listener: TcpListener,
}

impl Ground {
    fn up(datapath: Datapath) -> Result<Ground> {
        let world = World::with_routes(datapath, ROUTES)?;
        let listener = listen(
            &world.site.gateway(2).namespace,
            Ipv4Addr::UNSPECIFIED,
            BACKEND,
        )?;
        Ok(Ground { world, listener })
    }

    fn gateway(&self) -> &Gateway {
        self.world.site.gateway(1)
    }

    fn client(&self) -> &Namespace {
        &self.world.site.client.namespace
    }

    fn backend(&self) -> &Namespace {
        &self.world.site.gateway(2).namespace
    }

    /// A connection by the route `one`.
    fn pair(&self, from: u16) -> Result<Pair> {
        pair(
            self.client(),
            from,
            self.gateway().front(ONE),
            &self.listener,
        )
    }

    /// Turns that a route has given.
    fn turns(&self, route: &str) -> Result<u64> {
        Ok(self.gateway().stats()?.route(route)?.connections_total)
    }

    /// Connections of a route that neither side has reset nor both have closed.
    fn active(&self, route: &str) -> Result<u64> {
        let stats = self.gateway().stats()?;
        let backends = &stats.route(route)?.backends;
        Ok(backends.iter().map(|backend| backend.flows_active).sum())
    }
}

/// More than one window, so that acknowledgments must come back, too.
fn body() -> Vec<u8> {
    Payload::new(1_000_000).flatten().collect()
}

fn data_flows_after_a_half_close(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let body = body();
    for client_first in [true, false] {
        let pair = ground.pair(0)?;
        let (first, second) = if client_first {
            (&pair.client, &pair.backend)
        } else {
            (&pair.backend, &pair.client)
        };
        carry(first, second, b"the last words")?;
        close_half(first)?;
        assert_eq!(rest(second)?, b"", "the end has come");
        carry(second, first, &body)?;
        close_half(second)?;
        assert_eq!(rest(first)?, b"");
    }
    Ok(())
}

fn a_reset_reaches_the_other_side(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    for client_resets in [true, false] {
        let pair = ground.pair(0)?;
        carry(&pair.client, &pair.backend, b"question")?;
        let (resets, hears) = if client_resets {
            (pair.client, pair.backend)
        } else {
            (pair.backend, pair.client)
        };
        reset(resets)?;
        assert_eq!(failure(rest(&hears)), Some(ErrorKind::ConnectionReset));
        assert_eq!(ground.active("one")?, 0);
    }
    Ok(())
}

/// The backend closes first and keeps the connection in TIME_WAIT; the client's port is free at once.
fn the_same_ports_again_at_once(datapath: Datapath) -> Result<()> {
    const TIMES: u64 = 20;
    let ground = Ground::up(datapath)?;
    let mut seen = Vec::new();
    for time in 1..=TIMES {
        let pair = ground.pair(CLIENT)?;
        let words = format!("connection {time}");
        carry(&pair.backend, &pair.client, words.as_bytes())?;
        close_half(&pair.backend)?;
        assert_eq!(rest(&pair.client)?, b"");
        drop(pair.client);
        assert_eq!(rest(&pair.backend)?, b"");
        seen.push(pair.seen);
        assert_eq!(ground.turns("one")?, time);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "another port would show nothing: {seen:?}");
    Ok(())
}

/// The same five-tuple, and each time the other backend: what is left of the last one must not be in the way.
fn the_same_ports_take_every_turn(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let other = listen(
        &ground.world.site.gateway(3).namespace,
        Ipv4Addr::UNSPECIFIED,
        BACKEND,
    )?;
    let host = ground.gateway().front(TWO);
    for time in 0..20 {
        let listener = if time % 2 == 0 {
            &ground.listener
        } else {
            &other
        };
        let pair = pair(ground.client(), CLIENT, host, listener)?;
        carry(&pair.client, &pair.backend, b"question")?;
        if time % 4 < 2 {
            reset(pair.backend)?;
            assert_eq!(
                failure(rest(&pair.client)),
                Some(ErrorKind::ConnectionReset)
            );
            continue;
        }
        close_half(&pair.backend)?;
        assert_eq!(rest(&pair.client)?, b"");
        drop(pair.client);
        assert_eq!(rest(&pair.backend)?, b"");
    }
    let shares = ground.gateway().stats()?.route("two")?.shares();
    assert!(shares.values().all(|&share| share == 10), "{shares:?}");
    Ok(())
}

/// Neither FIN arrives the first time: each side has sent its own before it has seen the other's.
fn both_close_at_once(datapath: Datapath) -> Result<()> {
    const NO_FIN: &str = "table ip nofin {
        chain input { type filter hook input priority filter; tcp flags & fin == fin counter drop; }
    }";
    let ground = Ground::up(datapath)?;
    let pair = ground.pair(0)?;
    carry(&pair.client, &pair.backend, b"question")?;
    let hosts = [ground.client(), ground.backend()];
    for host in hosts {
        host.nft(NO_FIN)?;
    }
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        for side in [&pair.client, &pair.backend] {
            scope.spawn(|| {
                start.wait();
                close_half(side)
            });
        }
    });
    for host in hosts {
        wait_until("a FIN to be lost", LIMIT, || {
            dropped(host, "nofin").unwrap_or(0) > 0
        })?;
        host.nft("delete table ip nofin")?;
    }
    assert_eq!(rest(&pair.client)?, b"");
    assert_eq!(rest(&pair.backend)?, b"");
    assert_eq!(ground.active("one")?, 0);
    Ok(())
}

fn an_idle_connection_goes_on(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let pair = ground.pair(0)?;
    carry(&pair.client, &pair.backend, b"before")?;
    let tap = Tap::open(ground.client())?;
    sockets::keepalive(&pair.client, 1)?;
    // Each answered keepalive is a second in which nobody has said anything: longer than the flows' clock ticks.
    for _ in 0..3 {
        tap.next("an answered keepalive", |packet| {
            packet.protocol() == 6 && packet.ports().0 == ONE && packet.flags() == ACK
        })?;
    }
    carry(&pair.backend, &pair.client, b"after")?;
    carry(&pair.client, &pair.backend, b"after")
}

fn a_server_may_speak_first(datapath: Datapath) -> Result<()> {
    let ground = Ground::up(datapath)?;
    let pair = ground.pair(0)?;
    let body = body();
    carry(&pair.backend, &pair.client, &body)?;
    carry(&pair.client, &pair.backend, b"now me")?;
    assert_eq!(ground.active("one")?, 1);
    Ok(())
}

/// Both backends lose SYNs. The ones after come before the route's `connect` time is over, past which they would
/// rightly go to the other backend.
fn a_syn_sent_again_takes_no_turn(datapath: Datapath) -> Result<()> {
    const NO_SYN: &str = "table ip nosyn {
        chain prerouting { type filter hook prerouting priority raw; tcp flags & (syn|ack) == syn counter drop; }
    }";
    let ground = Ground::up(datapath)?;
    let backends = [ground.backend(), &ground.world.site.gateway(3).namespace];
    for backend in backends {
        backend.nft(NO_SYN)?;
    }
    let (client, host) = (ground.client(), ground.gateway().front(TWO));
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| connect(client, CLIENT, host));
        wait_until("a SYN to be lost", LIMIT, || {
            dropped(ground.backend(), "nosyn").unwrap_or(0) >= 1
        })?;
        for backend in backends {
            backend.nft("delete table ip nosyn")?;
        }
        let (backend, _) = accept(&ground.listener)?;
        let client = connecting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        carry(&client, &backend, b"at last")
    })?;
    assert_eq!(ground.turns("two")?, 1);
    Ok(())
}

/// The backend opens the client's own connection from its side (RFC 9293 3.5, figure 7): what no proxy can do.
fn both_may_open_at_once(datapath: Datapath) -> Result<()> {
    const NO_SYN: &str = "table ip nosyn {
        chain prerouting { type filter hook prerouting priority raw; tcp dport 8080 tcp flags & (syn|ack) == syn drop; }
    }";
    let ground = Ground::up(datapath)?;
    let Ground {
        world, listener, ..
    } = ground;
    drop(listener);
    let (gateway, backend) = (world.site.gateway(1), &world.site.gateway(2).namespace);
    let (tap, host) = (Tap::open(backend)?, gateway.front(ONE));
    backend.nft(NO_SYN)?;
    std::thread::scope(|scope| {
        let client = &world.site.client.namespace;
        let connecting = scope.spawn(|| connect(client, CLIENT, host));
        let syn = tap.next("the client's SYN", |packet| packet.is_tcp(BACKEND, SYN))?;
        let from = SocketAddrV4::new(syn.source(), syn.ports().0);
        let backend = connect(backend, BACKEND, from)?;
        let client = connecting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let body = body();
        carry(&client, &backend, &body)?;
        carry(&backend, &client, &body)?;
        // Proved, so no flood can evict it: the active are counted in the established tier.
        let stats = gateway.stats()?;
        assert_eq!(stats.route("one")?.connections_total, 1);
        assert_eq!(
            stats.datapath.flows.established, 1,
            "the flow was not promoted"
        );
        Ok(())
    })
}

/// What a read ended with.
fn failure(result: Result<Vec<u8>>) -> Option<ErrorKind> {
    let error = result.err()?;
    Some(error.downcast_ref::<std::io::Error>()?.kind())
}

/// Packets that the only rule of a table has dropped.
fn dropped(host: &Namespace, table: &str) -> Result<u64> {
    let text = host.run("nft", &["list", "table", "ip", table])?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let packets = words.windows(2).find(|pair| pair[0] == "packets");
    ensure!(packets.is_some(), "no counter in {text}");
    Ok(packets.map_or("", |pair| pair[1]).parse()?)
}

in_native_and_tc! {
    data_flows_after_a_half_close
    a_reset_reaches_the_other_side
    the_same_ports_again_at_once
    the_same_ports_take_every_turn
    both_close_at_once
    an_idle_connection_goes_on
    a_server_may_speak_first
    a_syn_sent_again_takes_no_turn
    both_may_open_at_once
}
