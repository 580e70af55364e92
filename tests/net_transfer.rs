//! A gigabyte each way with the real curl, to this gateway itself as backend and to another, is byte-equal; and the
//! daemon's death and return in the middle are nobody's business. `GWPOOL_NET_BYTES` makes it shorter.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::payload::Payload;
use gwpool_harness::net::stats::Stats;
use gwpool_harness::net::transfer::{Load, Progress, Transfer, download, upload};
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::world::World;
use std::time::Duration;

fn bytes() -> u64 {
    std::env::var("GWPOOL_NET_BYTES").map_or(1_000_000_000, |text| text.parse().unwrap())
}

fn each_way_is_byte_equal(datapath: Datapath) -> Result<()> {
    let world = World::up(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let port = gateway.stats()?.routes[0].port()?;
    let load = Load {
        bytes: bytes(),
        rate: 0,
    };
    let sha256 = Payload::sha256(load.bytes);
    for backend in ["gateway-1", "gateway-2"] {
        let expected = Transfer {
            backend: backend.into(),
            sha256: sha256.clone(),
        };
        let host = site.turn_to(gateway, port, backend)?;
        let down = download(&site.client.namespace, host, load, &Progress::default())?;
        assert_eq!(down, expected, "download");
        let host = site.turn_to(gateway, port, backend)?;
        let up = upload(&site.client.namespace, host, load, &Progress::default())?;
        assert_eq!(up, expected, "upload");
    }
    Ok(())
}

fn a_killed_daemon_interrupts_nothing(datapath: Datapath) -> Result<()> {
    let mut world = World::up(datapath)?;
    let site = world.site.clone();
    let gateway = site.gateway(1);
    let port = gateway.stats()?.routes[0].port()?;
    // Slow enough that a daemon can die and come back meanwhile.
    let load = Load {
        bytes: bytes(),
        rate: bytes() / 6,
    };
    let (down, up) = (Progress::default(), Progress::default());
    let (client, limit) = (&site.client.namespace, Duration::from_secs(30));
    let both_past = |percent: u64| {
        let mark = load.bytes * percent / 100;
        let past = || down.bytes() > mark && up.bytes() > mark;
        wait_until(
            &format!("both transfers to be past {percent} %"),
            limit,
            past,
        )
    };
    std::thread::scope(|scope| {
        let (down, up) = (&down, &up);
        let host = site.turn_to(gateway, port, "gateway-2")?;
        let downloading = scope.spawn(move || download(client, host, load, down));
        wait_until("the download to begin", limit, || down.bytes() > 0)?;
        let host = site.turn_to(gateway, port, "gateway-1")?;
        let uploading = scope.spawn(move || upload(client, host, load, up));
        both_past(20)?;
        let before = gateway.stats()?;
        world.kill(gateway)?;
        both_past(40)?;
        world.start(gateway)?;
        let after = gateway.stats()?;
        assert!(
            down.bytes() < load.bytes && up.bytes() < load.bytes,
            "too late to show anything"
        );
        assert_went_on(&before, &after);
        assert_eq!(gateway.log_errors()?, Vec::<String>::new());
        let sha256 = Payload::sha256(load.bytes);
        for (thread, backend) in [(downloading, "gateway-2"), (uploading, "gateway-1")] {
            let expected = Transfer {
                backend: backend.into(),
                sha256: sha256.clone(),
            };
            assert_eq!(thread.join().unwrap()?, expected);
        }
        Ok(())
    })
}

/// No count went back, and packets were counted while no daemon was there.
fn assert_went_on(before: &Stats, after: &Stats) {
    for route in &before.routes {
        let now = after.route(&route.name).unwrap();
        assert_eq!(now.shares(), route.shares(), "{}", route.name);
    }
    for (reason, packets) in &before.reasons {
        assert!(
            after.reason(reason) >= *packets,
            "{reason}: {packets}, then {}",
            after.reason(reason)
        );
    }
    for reason in ["to_backend", "to_client", "self_delivered", "self_reply"] {
        assert!(
            after.reason(reason) > before.reason(reason),
            "{reason} stood still"
        );
    }
}

#[test]
fn a_gigabyte_each_way_is_byte_equal_in_native() -> Result<()> {
    each_way_is_byte_equal(Datapath::Native)
}

#[test]
fn a_gigabyte_each_way_is_byte_equal_in_auto() -> Result<()> {
    each_way_is_byte_equal(Datapath::Auto)
}

#[test]
fn a_daemon_killed_and_started_again_interrupts_nothing_in_native() -> Result<()> {
    a_killed_daemon_interrupts_nothing(Datapath::Native)
}

#[test]
fn a_daemon_killed_and_started_again_interrupts_nothing_in_auto() -> Result<()> {
    a_killed_daemon_interrupts_nothing(Datapath::Auto)
}
