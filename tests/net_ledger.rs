//! The ledger: every frame that the fabric handed to a gateway is counted once, under one reason; and what a reason
//! says was sent to someone is what that one's own TCP received. This host's answers as backend are counted at egress.

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::ledger::Ledger;
use gwpool_harness::net::site::Site;
use gwpool_harness::net::transfer::{Load, Progress, download, upload};
use gwpool_harness::net::world::World;

/// Every frame that came in is counted, once; `self_reply` counts what did not come in.
fn assert_frames(site: &Site, moved: &Ledger) {
    for gateway in &site.gateways {
        let counted = moved.counted(gateway) - moved.reason(gateway, "self_reply");
        let reasons = &moved.reasons[&gateway.name];
        assert_eq!(
            counted, moved.frames[&gateway.name],
            "{} (counted, received): {reasons:?}",
            gateway.name
        );
    }
}

/// Small requests: a segment is a frame, nothing is merged or split, in any mode.
fn every_segment_is_accounted_for(datapath: Datapath) -> Result<()> {
    let world = World::up(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let host = gateway.front(gateway.stats()?.routes[0].port()?);
    site.client.sequential(host, 3)?;
    let before = Ledger::read(site)?;
    site.client.sequential(host, 60)?;
    let moved = Ledger::read(site)?.since(&before);
    assert_frames(site, &moved);
    let own = |reason| moved.reason(gateway, reason);
    let segments = |host: &str| moved.segments[host];
    assert_eq!(
        own("to_client") + own("self_reply"),
        segments("client"),
        "{moved:?}"
    );
    assert_eq!(own("self_delivered"), segments("gateway-1"), "{moved:?}");
    assert_eq!(
        own("to_backend"),
        segments("gateway-2") + segments("gateway-3"),
        "{moved:?}"
    );
    for peer in [site.gateway(2), site.gateway(3)] {
        assert_eq!(
            moved.reason(peer, "from_peer"),
            segments(&peer.name),
            "{moved:?}"
        );
        assert_eq!(
            moved.reason(peer, "self_delivered") + moved.reason(peer, "self_reply"),
            0,
            "{moved:?}"
        );
    }
    assert!(
        own("self_reply") >= 20 * 3,
        "20 connections answered by ourselves: {moved:?}"
    );
    Ok(())
}

/// Bulk, where every frame is one the wire would carry.
fn every_frame_of_a_transfer_is_accounted_for(datapath: Datapath) -> Result<()> {
    let world = World::up(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let port = gateway.stats()?.routes[0].port()?;
    let load = Load {
        bytes: 20_000_000,
        rate: 0,
    };
    let before = Ledger::read(site)?;
    for backend in ["gateway-1", "gateway-2"] {
        let host = site.turn_to(gateway, port, backend)?;
        download(&site.client.namespace, host, load, &Progress::default())?;
        let host = site.turn_to(gateway, port, backend)?;
        upload(&site.client.namespace, host, load, &Progress::default())?;
    }
    let moved = Ledger::read(site)?.since(&before);
    assert_frames(site, &moved);
    // What we send the client ourselves does not come in.
    let came_in = 3 * load.bytes / 1500;
    assert!(moved.frames[&gateway.name] > came_in, "{moved:?}");
    Ok(())
}

#[test]
fn every_segment_is_accounted_for_in_native() -> Result<()> {
    every_segment_is_accounted_for(Datapath::Native)
}

#[test]
fn every_segment_is_accounted_for_in_tc() -> Result<()> {
    every_segment_is_accounted_for(Datapath::Tc)
}

#[test]
fn every_segment_is_accounted_for_in_generic() -> Result<()> {
    every_segment_is_accounted_for(Datapath::Generic)
}

#[test]
fn every_frame_of_a_transfer_is_accounted_for_in_native() -> Result<()> {
    every_frame_of_a_transfer_is_accounted_for(Datapath::Native)
}
