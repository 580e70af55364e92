//! What becomes of connections whose state is gone, as after a failover: the tables are emptied under them
//! (the checklist's T-PICKUP and T-NORST). And T-LEAK, which all rows together are the test of.

use super::super::ground::{E, Ground};
use super::super::probe::{comes, tcp};
use super::super::row::{Level::Must, Row, Seen, judge};
use super::LEAK;
use crate::net::sockets::{self, Pair, carry, rest, tell};
use crate::net::wire::{Packet, Tap};
use anyhow::{Context, Result, ensure};
use std::io::Read;

pub const ROWS: &[Row] = &[
    Row::new(
        "pickup_when_the_inside_speaks_first",
        "T-PICKUP",
        Must,
        "tables emptied, the inside speaks first: its connection lives on, from the same port",
        pickup,
    ),
    Row::new(
        "no_reset_when_the_outside_speaks_first",
        "T-NORST",
        Must,
        "tables emptied, the outside speaks first: no reset, and the connection lives on later",
        no_reset,
    )
    .linux_breaks("resets: 10")
    .linux_leaks(),
];

/// The last row.
pub const LEAKS: &[Row] = &[Row::new(
    LEAK,
    "T-LEAK",
    Must,
    "in the whole suite no frame at an outside host has a box address as its source",
    leaks,
)
.linux_breaks("have leaked")];

const CONNECTIONS: u16 = 10;

fn connections(ground: &Ground, first: u16) -> Result<Vec<Pair>> {
    (first..first + CONNECTIONS)
        .map(|port| {
            let pair = tcp(ground, &ground.c1, port, (E, 8080))?;
            carry(&pair.client, &pair.backend, b"before")?;
            carry(&pair.backend, &pair.client, b"before")?;
            Ok(pair)
        })
        .collect()
}

fn pickup(ground: &Ground) -> Seen {
    let pairs = connections(ground, 46_100)?;
    ground.forget()?;
    let tap = Tap::open(&ground.e)?;
    for pair in &pairs {
        let carried = carry(&pair.client, &pair.backend, b"inside first")
            .and_then(|()| carry(&pair.backend, &pair.client, b"answer"));
        if let Err(error) = carried {
            return judge(false, format!("{}: {error:#}", pair.seen));
        }
    }
    let ports: Vec<u16> = tap
        .drain()?
        .iter()
        .filter(|packet| packet.is_tcp(8080, 0x18))
        .map(|packet| packet.ports().0)
        .collect();
    let same = ports
        .iter()
        .all(|port| pairs.iter().any(|pair| pair.seen.port() == *port));
    judge(
        same,
        format!("{} connections live on, seen as {ports:?}", pairs.len()),
    )
}

fn no_reset(ground: &Ground) -> Seen {
    let pairs = connections(ground, 46_120)?;
    ground.forget()?;
    let tap = Tap::open(&ground.e)?;
    for pair in &pairs {
        tell(&pair.backend, b"outside first")?;
    }
    let mut resets = 0;
    let is_reset = |packet: &Packet| packet.protocol() == 6 && packet.flags() & 4 != 0;
    while resets < CONNECTIONS && comes(&tap, is_reset)?.is_some() {
        resets += 1;
    }
    if resets > 0 {
        let mut ended = 0;
        for pair in pairs {
            ended += u16::from(rest(&pair.backend).is_err());
            // A FIN would be sent again and again.
            sockets::reset(pair.client)?;
        }
        return judge(
            false,
            format!("resets: {resets}, connections ended: {ended}"),
        );
    }
    // All of them before any is waited for: whoever gets no answer asks more and more seldom.
    for pair in &pairs {
        tell(&pair.client, b"inside later")?;
    }
    for pair in &pairs {
        for (mut end, wanted) in [
            (&pair.backend, "inside later"),
            (&pair.client, "outside first"),
        ] {
            let mut got = vec![0; wanted.len()];
            end.read_exact(&mut got)
                .with_context(|| format!("{}: {wanted}", pair.seen))?;
            ensure!(
                got == wanted.as_bytes(),
                "{}: other bytes than {wanted:?}",
                pair.seen
            );
        }
    }
    judge(
        true,
        format!("resets: 0; {CONNECTIONS} connections live on when the inside has spoken"),
    )
}

fn leaks(ground: &Ground) -> Seen {
    let (seen, leaks) = (ground.witness.seen(), ground.witness.leaks());
    ensure!(
        ground.witness.awake() && seen > 0,
        "the witness sees nothing"
    );
    let (count, first) = (leaks.len(), leaks.first());
    judge(
        count == 0,
        format!(
            "of {seen} packets that came in at e, r and e2 {count} have leaked, the first: {first:?}"
        ),
    )
}
