//! Changed by hand while connections run: backends drained and weighed. Live flows go on, new ones go elsewhere to the
//! request, and what was said outlives the daemon.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::namespace::output;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::stats::Backend;
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download};
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::world::World;
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Slow enough that all of a test happens meanwhile.
const STREAM: Load = Load {
    bytes: 12_000_000,
    rate: 3_000_000,
};
const PORTS: [u16; 2] = [30080, 30081];

/// One gateway with two routes over the whole pool; the others are only backends.
fn world(datapath: Datapath) -> Result<World> {
    let mut world = World::links(&World::fresh_id("t"), datapath)?;
    world.serve_all()?;
    let gateway = world.site.gateway(1).clone();
    let inventory = world
        .site
        .pool_inventory(&[("web", PORTS[0], PORTS[0]), ("db", PORTS[1], PORTS[1])]);
    world.start_on(&gateway, &inventory)?;
    Ok(world)
}

/// How many of the next connections each backend gets, by the servers' own counts.
fn shares(world: &World, port: u16, connections: usize) -> Result<[u64; 3]> {
    let before = world.site.served_at(port)?;
    let host = world.site.gateway(1).front(port);
    world.site.client.sequential(host, connections)?;
    let after = world.site.served_at(port)?;
    let got = |name: &str| after[name] - before[name];
    Ok([got("gateway-1"), got("gateway-2"), got("gateway-3")])
}

/// State and weight of each backend of `web`, by stats.
fn web(world: &World) -> Result<BTreeMap<String, (String, u16)>> {
    let stats = world.site.gateway(1).stats()?;
    let of = |backend: &Backend| {
        (
            backend.name.clone(),
            (backend.state.clone(), backend.weight),
        )
    };
    Ok(stats.route("web")?.backends.iter().map(of).collect())
}

fn a_drained_backend_keeps_its_connections_and_gets_no_new_ones(datapath: Datapath) -> Result<()> {
    let world = world(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    for (backend, state) in [("gateway-2", "drain"), ("gateway-1", "maint")] {
        let name = format!("web/{backend}");
        let place = usize::from(backend == "gateway-2");
        let mut kept = site
            .client
            .keep(site.turn_to(gateway, PORTS[0], backend)?)?;
        assert_eq!(kept.get("/")?.backend, backend);
        let host = site.turn_to(gateway, PORTS[0], backend)?;
        let progress = Progress::default();
        std::thread::scope(|scope| {
            let streaming =
                scope.spawn(|| download(&site.client.namespace, host, STREAM, &progress));
            wait_until("the download to begin", LIMIT, || progress.bytes() > 0)?;
            assert_eq!(
                gateway.tell(&["backend", state, &name])?.out,
                format!("{name}\n")
            );
            assert_eq!(web(&world)?[backend].0, state);
            let mut expected = [30; 3];
            expected[place] = 0;
            assert_eq!(shares(&world, PORTS[0], 60)?, expected, "{name} {state}");
            assert_eq!(shares(&world, PORTS[1], 6)?, [2, 2, 2], "the other route");
            assert_eq!(kept.get("/")?.backend, backend, "a live connection stays");
            assert!(progress.bytes() < STREAM.bytes, "too late to show anything");
            let expected = Transfer {
                backend: backend.into(),
                sha256: Payload::sha256(STREAM.bytes),
            };
            assert_eq!(streaming.join().unwrap()?, expected);
            anyhow::Ok(())
        })?;
        gateway.tell(&["backend", "ready", &name])?;
        assert_eq!(shares(&world, PORTS[0], 60)?, [20; 3], "{name} is back");
        assert_eq!(web(&world)?[backend].0, "up");
    }
    Ok(())
}

fn weights_move_the_shares_exactly_over_whole_cycles(datapath: Datapath) -> Result<()> {
    let world = world(datapath)?;
    let gateway = world.site.gateway(1);
    let steps: [(&str, &str, usize, [u64; 3]); 6] = [
        ("web/gateway-1", "5", 21, [15, 3, 3]),
        ("web/gateway-3", "3", 27, [15, 3, 9]),
        ("*/gateway-1", "0", 40, [0, 10, 30]),
        ("web/*", "256", 30, [10, 10, 10]),
        ("web/gateway-2", "128", 25, [10, 5, 10]),
        ("*/*", "plan", 30, [10, 10, 10]),
    ];
    for (backend, weight, connections, expected) in steps {
        gateway.tell(&["weight", backend, weight])?;
        assert_eq!(
            shares(&world, PORTS[0], connections)?,
            expected,
            "after {backend} {weight}"
        );
    }
    assert_eq!(
        shares(&world, PORTS[1], 30)?,
        [10; 3],
        "the other route's plan holds, too"
    );
    Ok(())
}

fn what_was_said_outlives_the_daemon_and_a_reload(datapath: Datapath) -> Result<()> {
    let mut world = world(datapath)?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    gateway.tell(&["backend", "drain", "web/gateway-2"])?;
    gateway.tell(&["weight", "web/gateway-3", "4"])?;
    gateway.tell(&["route", "off", "db"])?;
    let state = |name: &str, weight| (name.to_owned(), weight);
    let expected = BTreeMap::from([
        ("gateway-1".to_owned(), state("up", 1)),
        ("gateway-2".to_owned(), state("drain", 1)),
        ("gateway-3".to_owned(), state("up", 4)),
    ]);
    let holds = |world: &World, when: &str| {
        assert_eq!(shares(world, PORTS[0], 25)?, [5, 0, 20], "{when}");
        assert_eq!(
            shares(world, PORTS[1], 6)?,
            [6, 0, 0],
            "{when}: the local stack has db"
        );
        anyhow::Ok(())
    };
    holds(&world, "at first")?;
    world.kill(gateway)?;
    holds(&world, "without a daemon")?;
    let inventory = std::fs::read_to_string(gateway.inventory_file())?;
    world.start_on(gateway, &inventory)?;
    assert_eq!(web(&world)?, expected);
    holds(&world, "with the next daemon")?;
    let more = site.pool_inventory(&[
        ("db", 30081, 30081),
        ("more", 30082, 30082),
        ("web", 30080, 30080),
    ]);
    assert_eq!(gateway.reload(&more)?["changed"], true);
    assert_eq!(web(&world)?, expected);
    holds(&world, "after a reload")?;
    assert_eq!(shares(&world, 30082, 6)?, [2, 2, 2], "the new route");
    gateway.tell(&["backend", "ready", "*/*"])?;
    gateway.tell(&["weight", "*/*", "plan"])?;
    gateway.tell(&["route", "on", "*"])?;
    assert_eq!(shares(&world, PORTS[0], 30)?, [10; 3]);
    assert_eq!(shares(&world, PORTS[1], 30)?, [10; 3]);
    Ok(())
}

fn nobody_is_left_when_all_are_drained_and_that_is_said(datapath: Datapath) -> Result<()> {
    let world = world(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let said = gateway.tell(&["backend", "drain", "web/*"])?;
    assert!(said.err.contains("no backend of web"), "{said:?}");
    let before = gateway.stats()?.reason("no_live_backend");
    let host = gateway.front(PORTS[0]);
    let tried = site
        .client
        .namespace
        .enter(|| std::net::TcpStream::connect_timeout(&host.into(), Duration::from_millis(200)))?;
    assert!(
        tried.is_err(),
        "the local stack, which listens there, must not answer"
    );
    assert!(gateway.stats()?.reason("no_live_backend") > before);
    assert_eq!(shares(&world, PORTS[1], 3)?, [1; 3]);
    Ok(())
}

#[test]
fn unknown_names_exit_2_and_list_what_exists() -> Result<()> {
    let world = world(Datapath::Tc)?;
    let gateway = world.site.gateway(1);
    for (words, listed) in [
        (["backend", "drain", "wbe/gateway-1"].as_slice(), "db, web"),
        (
            &["backend", "maint", "web/gateway-9"],
            "web/gateway-1, web/gateway-2, web/gateway-3",
        ),
        (&["backend", "ready", "web"], "web/*"),
        (&["weight", "nothing/*", "3"], "db, web"),
        (&["weight", "web/gateway-1", "257"], "0 to 256"),
        (&["route", "off", "wbe"], "db, web"),
        (&["route", "on", "x*"], "db, web"),
        (&["stats", "wbe"], "db, web"),
    ] {
        let said = gateway.say(words)?;
        assert!(
            said.code == 2 && said.err.contains(listed),
            "{words:?}: {said:?}"
        );
    }
    assert_eq!(shares(&world, PORTS[0], 6)?, [2; 3], "nothing has changed");
    Ok(())
}

#[test]
fn only_root_changes_anything() -> Result<()> {
    let world = world(Datapath::Tc)?;
    let gateway = world.site.gateway(1);
    // In the socket's group, and nobody: the mode lets it in, the kernel says who it is.
    let nobody = |words: &[&str]| {
        let mut user = gateway.namespace.command("setpriv");
        user.args(["--reuid", "65534", "--regid", "0", "--clear-groups"]);
        user.arg(gwpool_harness::net::gateway::user_binary()?);
        user.args(words)
            .arg("--runtime-dir")
            .arg(gateway.runtime_dir());
        output(&mut user)
    };
    assert!(nobody(&["stats"])?.contains("web"));
    for words in [
        ["reload"].as_slice(),
        &["backend", "drain", "web/*"],
        &["weight", "web/*", "3"],
        &["route", "off", "*"],
        &["stop"],
    ] {
        let error = format!("{:#}", nobody(words).unwrap_err());
        assert!(
            error.contains("for root") && error.contains("65534"),
            "{error}"
        );
    }
    assert_eq!(shares(&world, PORTS[0], 6)?, [2; 3], "nothing has changed");
    gateway.tell(&["weight", "web/gateway-2", "2"])?;
    let log = std::fs::read_to_string(gateway.log())?;
    assert!(log.contains("uid 65534: backend is for root"), "{log}");
    assert!(
        log.lines()
            .any(|line| line.contains("uid 0:") && line.contains("\"verb\":\"weight\"")),
        "{log}"
    );
    Ok(())
}

#[test]
fn without_a_daemon_one_sentence_says_so() -> Result<()> {
    let world = World::links(&World::fresh_id("t"), Datapath::Tc)?;
    for words in [
        ["reload"].as_slice(),
        &["backend", "drain", "web/*"],
        &["weight", "web/*", "3"],
        &["route", "off", "*"],
    ] {
        let said = world.site.gateway(1).say(words)?;
        assert!(
            said.code == 1
                && said.err.lines().count() == 1
                && said.err.contains("no gwpool daemon runs here"),
            "{words:?}: {said:?}"
        );
    }
    Ok(())
}

gwpool_harness::in_native_and_tc! {
    a_drained_backend_keeps_its_connections_and_gets_no_new_ones
    weights_move_the_shares_exactly_over_whole_cycles
    what_was_said_outlives_the_daemon_and_a_reload
    nobody_is_left_when_all_are_drained_and_that_is_said
}
