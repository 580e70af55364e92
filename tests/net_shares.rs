//! Shares: one host that completes handshakes takes no more than its share of the established table, nor faster than its
//! rate, and hears so at once; the others lose nothing. A full table refuses, and goes on when there is room.

use anyhow::{Context, Result};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::crowd::{Crowd, GREEDY, LIVE, clients};
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::sockets;
use gwpool_harness::net::wait::wait_for;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

/// A refusal is heard before a SYN would be sent again.
const AT_ONCE: Duration = Duration::from_millis(900);
/// Closed connections leave a crowded table after ten seconds, by the sweep.
const SWEPT: Duration = Duration::from_secs(60);

/// Connects so many times; what succeeded, and how many were refused.
fn take(crowd: &Crowd, from: Ipv4Addr, times: usize) -> Result<(Vec<TcpStream>, usize)> {
    let (mut taken, mut refused) = (Vec::new(), 0);
    for _ in 0..times {
        let begin = Instant::now();
        let error = match crowd.connect(from) {
            Ok(stream) => {
                taken.push(stream);
                continue;
            }
            Err(error) => error,
        };
        let kind = error
            .downcast_ref::<std::io::Error>()
            .map(|error| error.kind());
        // At the SYN, or, where only the proof finds no room, right after the handshake.
        let told = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset];
        assert!(kind.is_some_and(|kind| told.contains(&kind)), "{error:#}");
        assert!(
            begin.elapsed() < AT_ONCE,
            "refused after {:?}",
            begin.elapsed()
        );
        refused += 1;
    }
    Ok((taken, refused))
}

fn one_host_has_its_share_and_no_more(datapath: Datapath) -> Result<()> {
    let limits = "flows: 4096, embryonic: 4096, flows_per_source: 150";
    let crowd = Crowd::up(datapath, limits, LIVE)?;
    let (taken, refused) = take(&crowd, GREEDY, 200)?;
    assert_eq!((taken.len(), refused), (150, 50));
    crowd.all_speak("beside a greedy one")?;
    crowd
        .connect(clients()[0])
        .context("another's connection")?;
    let stats = crowd.gateway().stats()?;
    assert_eq!(stats.reason("over_share"), 50, "{:?}", stats.reasons);
    Ok(())
}

fn one_host_has_its_rate_and_no_more(datapath: Datapath) -> Result<()> {
    const RATE: usize = 20;
    let limits = format!("flows: 4096, embryonic: 4096, new_flows_per_source: {RATE}");
    let crowd = Crowd::up(datapath, &limits, clients().len())?;
    let begin = Instant::now();
    let (taken, refused) = take(&crowd, GREEDY, 200)?;
    // A tick more at either end, each a little longer than a second.
    let most = (begin.elapsed().as_secs() as usize + 3) * (RATE + 1);
    assert!(
        taken.len() >= RATE && taken.len() <= most,
        "{} were let in",
        taken.len()
    );
    crowd.all_speak("beside a hasty one")?;
    crowd
        .connect(clients()[0])
        .context("another's connection")?;
    let stats = crowd.gateway().stats()?;
    assert!(
        refused > 0,
        "{} were let in, nobody was refused",
        taken.len()
    );
    assert_eq!(
        stats.reason("over_rate"),
        refused as u64,
        "{:?}",
        stats.reasons
    );
    Ok(())
}

fn a_full_table_refuses_and_goes_on(datapath: Datapath) -> Result<()> {
    const FLOWS: usize = 64;
    let limits = format!("flows: {FLOWS}, embryonic: 4096, flows_per_source: {FLOWS}");
    let mut crowd = Crowd::up(datapath, &limits, FLOWS / 2)?;
    let (taken, refused) = take(&crowd, GREEDY, FLOWS)?;
    let held = taken.len() + crowd.live.len();
    assert!(
        held <= FLOWS && held > FLOWS * 3 / 4,
        "{held} of {FLOWS} flows"
    );
    assert!(refused > 0, "the table is not full");
    crowd.all_speak("in a full table")?;
    let stats = crowd.gateway().stats()?;
    assert!(stats.reason("table_full") > 0, "{:?}", stats.reasons);
    for stream in taken {
        sockets::reset(stream)?;
    }
    let pair = wait_for("room for a new connection", SWEPT, || {
        crowd.connect(clients()[1])
    })?;
    drop(pair);
    crowd.all_speak("after the crowd")?;
    crowd.live.clear();
    Ok(())
}

in_native_and_tc! {
    one_host_has_its_share_and_no_more
    one_host_has_its_rate_and_no_more
    a_full_table_refuses_and_goes_on
}
