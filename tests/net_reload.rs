//! Reload while connections run: routes come, go and move without a byte lost; what is wrong changes nothing; what is
//! the same writes nothing; and what happens to the host meanwhile is not forgotten.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::Result;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download};
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::world::World;
use gwpool_user::datapath::pins::Pins;
use gwpool_user::datapath::{Datapath, OBJECT};
use gwpool_user::plan::{Image, Limits};
use nix::sys::signal::Signal;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Slow enough that all of a test happens meanwhile.
const STREAM: Load = Load {
    bytes: 16_000_000,
    rate: 2_500_000,
};
/// One gateway with a route over the whole pool; the others are only backends.
fn world(datapath: fabric::Datapath) -> Result<World> {
    let mut world = World::links(&World::fresh_id("t"), datapath)?;
    world.serve_all()?;
    let gateway = world.site.gateway(1).clone();
    let inventory = world.site.pool_inventory(&[("web", 30080, 30080)]);
    world.start_on(&gateway, &inventory)?;
    Ok(world)
}

/// Who answers the next connections, one after the other.
fn turns(world: &World, host: SocketAddrV4, connections: usize) -> Result<Vec<String>> {
    let answers = world.site.client.sequential(host, connections)?;
    let mut names: Vec<String> = answers.into_iter().map(|answer| answer.backend).collect();
    names.sort();
    Ok(names)
}

const ALL: [&str; 3] = ["gateway-1", "gateway-2", "gateway-3"];
/// The NodePort itself, of a gateway that forwards nothing there.
const LOCAL: [&str; 3] = ["gateway-1"; 3];

/// What the pinned maps of configuration hold, read as the next daemon would.
fn maps(gateway: &Gateway) -> Result<Image> {
    let pins = Pins::new(&gateway.pin_dir());
    let limits = Limits::default().without_mappings();
    Ok(Datapath::adopt(OBJECT, &limits, &pins)?.installed()?)
}

/// A route more, another port, other backends, a route less: after each, who answers where.
fn routes_change(world: &World) -> Result<()> {
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let inventory = |routes: &[(&str, u16, u16)]| site.pool_inventory(routes);
    let answer = gateway.reload(&inventory(&[("new", 30082, 30082), ("web", 30080, 30080)]))?;
    assert_eq!(answer["changed"], true, "{answer}");
    assert_eq!(turns(world, gateway.front(30082), 3)?, ALL, "a new route");
    assert_eq!(turns(world, gateway.front(30080), 3)?, ALL, "the old one");

    gateway.reload(&inventory(&[("new", 30082, 30082), ("web", 30090, 30080)]))?;
    assert_eq!(
        turns(world, gateway.front(30090), 3)?,
        ALL,
        "another port to listen on"
    );
    assert_eq!(
        turns(world, gateway.front(30080), 3)?,
        LOCAL,
        "the port before"
    );

    gateway.reload(&inventory(&[("new", 30082, 30082), ("web", 30090, 30083)]))?;
    assert_eq!(
        turns(world, gateway.front(30090), 3)?,
        ALL,
        "another port of the backends"
    );
    let served = site.served_at(30083)?;
    assert!(served.values().all(|&served| served == 1), "{served:?}");

    gateway.reload(&inventory(&[("new", 30082, 30082)]))?;
    assert_eq!(
        turns(world, gateway.front(30080), 3)?,
        LOCAL,
        "no route any more"
    );
    assert_eq!(
        turns(world, gateway.front(30082), 3)?,
        ALL,
        "the one that is left"
    );
    Ok(())
}

fn routes_come_go_and_move_under_a_download(datapath: fabric::Datapath) -> Result<()> {
    let world = world(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let progress = [Progress::default(), Progress::default()];
    let running = || {
        progress
            .iter()
            .all(|progress| progress.bytes() < STREAM.bytes)
    };
    std::thread::scope(|scope| {
        let stream = |backend: &'static str, progress| {
            let host = site.turn_to(gateway, 30080, backend)?;
            anyhow::Ok(
                scope.spawn(move || download(&site.client.namespace, host, STREAM, progress)),
            )
        };
        let far = stream("gateway-2", &progress[0])?;
        wait_until("the first download to begin", LIMIT, || {
            progress[0].bytes() > 0
        })?;
        let near = stream("gateway-1", &progress[1])?;
        wait_until("the second download to begin", LIMIT, || {
            progress[1].bytes() > 0
        })?;

        routes_change(&world)?;
        assert!(running(), "too late to show anything");

        for (thread, backend) in [(far, "gateway-2"), (near, "gateway-1")] {
            let expected = Transfer {
                backend: backend.into(),
                sha256: Payload::sha256(STREAM.bytes),
            };
            assert_eq!(thread.join().unwrap()?, expected);
        }
        assert_eq!(gateway.log_errors()?, Vec::<String>::new());
        Ok(())
    })
}

fn a_broken_inventory_changes_nothing_and_every_error_is_told(
    datapath: fabric::Datapath,
) -> Result<()> {
    let mut world = world(datapath)?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    // All of gwpool's keys in one file: Ansible would replace the map by one on the command line.
    let pool = site.pool_inventory(&[("web", 30080, 30080)]);
    let with = |keys: &str| format!("{pool}gwpool: {{datapath: {}{keys}}}\n", datapath.name());
    let good = with("");
    world.kill(gateway)?;
    world.datapath = fabric::Datapath::Auto;
    world.start_on(gateway, &good)?;
    let before = maps(gateway)?;
    let broken = good
        .replace("port: 30080,", "port: 70000,")
        .replace("mode: tcp", "mode: sctp");
    let no_yaml = good.replace("mode: tcp", "mode: {tcp");
    let no_interface = with(", interfaces: {box-network: eth7}");
    let resized = with(", limits: {routes: 77}");
    for (text, told) in [
        (broken, vec!["inventory.yml:", "70000", "sctp"]),
        (no_yaml, vec!["inventory.yml:"]),
        (no_interface, vec!["eth7"]),
        (resized, vec!["ROUTES", "77", "stop --detach"]),
    ] {
        std::fs::write(gateway.inventory_file(), &text)?;
        let said = gateway.say(&["reload", "--json"])?;
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(
            told.iter().all(|word| said.err.contains(word)),
            "{told:?}: {}",
            said.err
        );
        assert_eq!(maps(gateway)?, before, "{text}");
        assert_eq!(turns(&world, gateway.front(30080), 3)?, ALL);
    }
    std::fs::remove_file(gateway.inventory_file())?;
    assert_eq!(gateway.say(&["reload"])?.code, 2, "no file at all");

    let again = gateway.reload(&good)?;
    assert_eq!(
        (&again["changed"], &again["writes"]),
        (&false.into(), &0.into())
    );
    assert!(again["ms"].is_number(), "{again}");
    let again = gateway.reload(&format!("# A comment.\n{good}"))?;
    assert_eq!(
        (&again["changed"], &again["writes"]),
        (&false.into(), &0.into())
    );
    assert_eq!(maps(gateway)?, before, "the same plan writes nothing");
    Ok(())
}

fn a_signal_reloads_and_says_what_is_wrong_in_the_log(datapath: fabric::Datapath) -> Result<()> {
    let world = world(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    std::fs::write(gateway.inventory_file(), "nonsense: [\n")?;
    world.signal(gateway, Signal::SIGHUP)?;
    wait_until("the error in the log", LIMIT, || {
        gateway
            .log_errors()
            .is_ok_and(|lines| lines.iter().any(|line| line.contains("inventory.yml:")))
    })?;
    assert_eq!(
        turns(&world, gateway.front(30080), 3)?,
        ALL,
        "the old plan stays"
    );
    std::fs::write(
        gateway.inventory_file(),
        site.pool_inventory(&[("new", 30082, 30082)]),
    )?;
    world.signal(gateway, Signal::SIGHUP)?;
    wait_until("the new plan", LIMIT, || {
        gateway
            .stats()
            .is_ok_and(|stats| stats.route("new").is_ok())
    })?;
    assert_eq!(turns(&world, gateway.front(30082), 3)?, ALL);
    Ok(())
}

/// Two addresses, one before a reload that works and one before a reload that does not.
fn what_happens_to_the_host_is_not_forgotten(datapath: fabric::Datapath) -> Result<()> {
    let world = world(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let add = |address: &str| {
        gateway
            .namespace
            .ip(&[format!("addr add {address}/24 dev gateway-network")])
    };
    let host = |last, port| SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, last), port);
    add("10.9.0.51")?;
    gateway.reload(&site.pool_inventory(&[("new", 30082, 30082), ("web", 30080, 30080)]))?;
    assert_eq!(
        turns(&world, host(51, 30082), 3)?,
        ALL,
        "known with the reload"
    );
    add("10.9.0.52")?;
    std::fs::write(gateway.inventory_file(), "nonsense: [\n")?;
    assert_eq!(gateway.say(&["reload"])?.code, 2);
    wait_until("the address to be listened on", LIMIT, || {
        turns(&world, host(52, 30082), 3).is_ok_and(|turns| turns == ALL)
    })
}

/// Reloads that overlap with each other and with changes by hand: all of them are answered, and the last file holds.
fn many_at_once_come_one_after_the_other(datapath: fabric::Datapath) -> Result<()> {
    let world = world(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let last = site.pool_inventory(&[("last", 30082, 30082), ("web", 30080, 30080)]);
    std::thread::scope(|scope| {
        let say =
            |words: &'static [&'static str]| scope.spawn(move || gateway.tell(words).map(drop));
        let before: Vec<_> = (0..4).map(|_| say(&["reload"])).collect();
        let drained = say(&["backend", "drain", "web/gateway-2"]);
        std::fs::write(gateway.inventory_file(), &last)?;
        let after: Vec<_> = (0..4).map(|_| say(&["reload"])).collect();
        for thread in before.into_iter().chain(after).chain([drained]) {
            // One that reads the file while it is written may find half of it.
            let _ = thread.join().unwrap();
        }
        anyhow::Ok(())
    })?;
    assert_eq!(
        gateway.reload(&last)?["changed"],
        false,
        "who asks after the write gets what was written"
    );
    assert_eq!(turns(&world, gateway.front(30082), 3)?, ALL);
    assert_eq!(
        turns(&world, gateway.front(30080), 4)?,
        ["gateway-1", "gateway-1", "gateway-3", "gateway-3"]
    );
    Ok(())
}

#[test]
fn the_datapath_is_another_after_a_reload_and_a_download_goes_on() -> Result<()> {
    let mut world = World::links(&World::fresh_id("t"), fabric::Datapath::Native)?;
    world.serve_all()?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    let inventory = site.pool_inventory(&[("web", 30080, 30080)]);
    let with = |mode: &str| format!("{inventory}gwpool: {{datapath: {mode}}}\n");
    // What the inventory says is not overruled on the command line.
    world.datapath = fabric::Datapath::Auto;
    world.start_on(gateway, &with("native"))?;
    let modes = || {
        let stats = gateway.stats()?;
        let modes = stats
            .datapath
            .interfaces
            .into_iter()
            .map(|interface| interface.mode);
        anyhow::Ok(modes.collect::<Vec<_>>())
    };
    let progress = Progress::default();
    let host = site.turn_to(gateway, 30080, "gateway-2")?;
    std::thread::scope(|scope| {
        let streaming = scope.spawn(|| download(&site.client.namespace, host, STREAM, &progress));
        wait_until("the download to begin", LIMIT, || progress.bytes() > 0)?;
        for mode in ["tc", "native", "generic", "native"] {
            assert_eq!(gateway.reload(&with(mode))?["changed"], true);
            assert_eq!(modes()?, [mode, mode]);
            assert_eq!(turns(&world, gateway.front(30080), 3)?, ALL);
        }
        assert!(progress.bytes() < STREAM.bytes, "too late to show anything");
        let expected = Transfer {
            backend: "gateway-2".into(),
            sha256: Payload::sha256(STREAM.bytes),
        };
        assert_eq!(streaming.join().unwrap()?, expected);
        Ok(())
    })
}

gwpool_harness::in_native_and_tc! {
    routes_come_go_and_move_under_a_download
    a_broken_inventory_changes_nothing_and_every_error_is_told
    a_signal_reloads_and_says_what_is_wrong_in_the_log
    what_happens_to_the_host_is_not_forgotten
    many_at_once_come_one_after_the_other
}
