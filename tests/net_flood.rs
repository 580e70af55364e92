//! Floods: a thousand established connections live on, and every one of them says what it is told to, while the client
//! side is flooded with a hundred times what the embryonic table holds; new connections keep succeeding meanwhile.
//! The flood comes by the clients' own network, from sources that are never the same.
//!
//! Queues overflow under a flood whoever forwards; what a queue has lost TCP sends again. What no flood may do is end
//! a flow, or keep one out of the tier that nothing evicts.

use anyhow::Result;
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::crowd::{Crowd, ECHO, HELD, LIVE};
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::flood::Spoofed;
use gwpool_harness::net::site::CLIENT;
use gwpool_harness::net::sockets;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A small table for what nothing has proved yet, so that a flood is a flood.
const EMBRYONIC: usize = 1024;
const FLOOD: usize = 100 * EMBRYONIC;
const FLOWS: usize = 65_536;
/// What a spoofed service may take of the other table.
const UDP_FLOWS: usize = 500;

/// The share of one client is all of the tier: the new connections are all one client's, as many as get through.
fn small_tables() -> String {
    format!(
        "flows: {FLOWS}, embryonic: {EMBRYONIC}, udp_flows: {UDP_FLOWS}, flows_per_source: {FLOWS}"
    )
}

/// SYNs from everywhere; then each with an ACK that has seen no SYN+ACK; then SYN+ACKs that answer nothing.
fn connections_live_through_tcp_floods(datapath: Datapath) -> Result<()> {
    let crowd = Crowd::up(datapath, &small_tables(), LIVE)?;
    let to = crowd.gateway().front(HELD);
    let syn = Spoofed::of(&format!("tcp {CLIENT}:1 > {to} S seq=100"))?;
    let ack = Spoofed::of(&format!("tcp {CLIENT}:1 > {to} A seq=101 ack=4711"))?;
    let both = Spoofed::of(&format!("tcp {CLIENT}:1 > {to} SA seq=100 ack=4711"))?;
    crowd.under("SYN", (0..FLOOD).map(|number| syn.from(number)))?;
    let pair = |number| [syn.from(number), ack.from(number)];
    crowd.under("SYN, then ACK", (0..FLOOD).flat_map(pair))?;
    crowd.under("SYN+ACK", (0..FLOOD).map(|number| both.from(number)))?;
    // Of all that was spoofed nothing was proved.
    let stats = crowd.gateway().stats()?;
    let backends = &stats.route("held")?.backends;
    let active: u64 = backends.iter().map(|backend| backend.flows_active).sum();
    assert_eq!(active, LIVE as u64, "{:?}", stats.datapath.flows);
    Ok(())
}

/// Two packets from everywhere, the second after the service has answered the first: as good as a client, for UDP.
fn connections_live_through_a_udp_flood(datapath: Datapath) -> Result<()> {
    const CHUNK: usize = 256;
    let crowd = Crowd::up(datapath, &small_tables(), LIVE)?;
    let service = sockets::udp(
        &crowd.world.site.gateway(2).namespace,
        Ipv4Addr::UNSPECIFIED,
        7,
    )?;
    let to = crowd.gateway().front(ECHO);
    let udp = Spoofed::of(&format!("udp {CLIENT}:1 > {to} len=8"))?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        service.set_read_timeout(Some(Duration::from_millis(100)))?;
        scope.spawn(|| {
            let mut buffer = [0; 64];
            while !over.load(Relaxed) {
                if let Ok((length, from)) = service.recv_from(&mut buffer) {
                    let _ = service.send_to(&buffer[..length], from);
                }
            }
        });
        let chunk = |first: usize| (first..first + CHUNK).chain(first..first + CHUNK);
        let packets = (0..FLOOD).step_by(CHUNK).flat_map(chunk);
        let flooded = crowd.under("UDP, two each", packets.map(|number| udp.from(number)));
        over.store(true, Relaxed);
        flooded
    })?;
    let stats = crowd.gateway().stats()?;
    let proved: u64 = stats.route("echo")?.backends[0].flows_active;
    println!("spoofed UDP flows that were proved: {proved}");
    assert!(proved > 0, "a flood that proves nothing shows nothing");
    assert!(
        proved <= UDP_FLOWS as u64,
        "{proved} spoofed UDP flows were proved"
    );
    Ok(())
}

in_native_and_tc! {
    connections_live_through_tcp_floods
    connections_live_through_a_udp_flood
}
