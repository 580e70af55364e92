//! The same traffic through gwpool and through nftables in its place (DNAT in turn, masquerade): what the client and
//! the backend observe is the same, row by row, but for the differences listed here, which README gives reasons for.
//! A listed difference that is none any more fails, too.

#[path = "nftables/ground.rs"]
mod ground;
#[path = "nftables/packets.rs"]
mod packets;
#[path = "nftables/tcp.rs"]
mod tcp;

use anyhow::{Result, ensure};
use ground::{Forwarder, Ground, Seen};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::site::project;
use std::fmt::Write as _;

/// What is tried, and its name.
type Row = (&'static str, fn(&Ground) -> Seen);

const ROWS: &[Row] = &[
    ("transfer", tcp::transfer),
    ("source port", tcp::source_port),
    ("turns", tcp::turns),
    ("half-close", tcp::half_close),
    ("reset", tcp::reset_by_either),
    ("reuse in TIME_WAIT", tcp::reuse_in_time_wait),
    ("closed port", tcp::closed_port),
    ("UDP", tcp::udp_echo),
    ("refusal by the client", tcp::refusal_by_the_client),
    ("path MTU discovery", tcp::path_mtu_discovery),
    ("TCP options", tcp::tcp_options),
    ("DSCP and ECN", packets::type_of_service),
    ("TTL", packets::time_to_live),
    ("the way back", packets::the_way_back),
    (
        "TTL ends at a router",
        packets::time_to_live_ends_at_a_router,
    ),
    ("too big for a router", packets::too_big_for_a_router),
    ("UDP without checksum", packets::udp_without_checksum),
    ("IP options", packets::ip_options_that_say_nothing),
    ("record route", packets::record_route),
    ("source route", packets::source_route),
    ("wrong checksum", packets::wrong_checksum),
    ("ACK of no connection", packets::an_ack_of_no_connection),
    ("ping", packets::ping),
    ("fragments", tcp::fragments),
    ("single fragments", packets::single_fragments),
    ("TTL ends here", packets::time_to_live_ends_here),
    (
        "too big for the gateway",
        packets::too_big_for_the_forwarder,
    ),
    ("the gateway's own MTU", tcp::own_mtu),
];

/// The rows in which they differ; README's section "Where gwpool differs from nftables" says why.
const DIFFERENT: &[&str] = &[
    "source port",
    "ACK of no connection",
    "wrong checksum",
    "record route",
    "source route",
    "TTL ends here",
    "too big for the gateway",
];

/// Every row, in one world.
fn observe(datapath: Datapath, forwarder: Forwarder) -> Result<Vec<String>> {
    let ground = Ground::up(datapath, forwarder)?;
    let text = |seen: Seen| {
        seen.map_or_else(
            |error| format!("failed: {error:#}"),
            |lines| lines.join("\n  "),
        )
    };
    Ok(ROWS.iter().map(|(_, row)| text(row(&ground))).collect())
}

fn the_ends_see_what_nftables_shows_them(datapath: Datapath) -> Result<()> {
    let ours = observe(datapath, Forwarder::Gwpool)?;
    let theirs = observe(datapath, Forwarder::Nftables)?;
    let mut wrong = String::new();
    for ((name, _), (ours, theirs)) in ROWS.iter().zip(ours.iter().zip(&theirs)) {
        let known = DIFFERENT.contains(name);
        println!("{name}: gwpool\n  {ours}\n{name}: nftables\n  {theirs}");
        if (ours != theirs) != known {
            let listed = if known {
                "listed, and the same"
            } else {
                "not listed, and different"
            };
            writeln!(wrong, "{name} ({listed})\n  {ours}\nnftables\n  {theirs}")?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// A list that nobody can read is no list.
#[test]
fn readme_gives_a_reason_for_each_difference() -> Result<()> {
    let readme = std::fs::read_to_string(project().join("README.md"))?;
    let (_, section) = readme
        .split_once("## Where gwpool differs from nftables\n")
        .unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let listed: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|word| *word != "row")
        .collect();
    assert_eq!(listed, DIFFERENT);
    Ok(())
}

in_native_and_tc! {
    the_ends_see_what_nftables_shows_them
}
