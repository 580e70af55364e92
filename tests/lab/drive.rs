//! The demonstration: build, ask every route through every gateway, compare what the servers answered with what
//! stats says, show the tables. Thirds, to the request. Then the NAT pair (`outbound`).

use crate::outbound;
use anyhow::{Context, Result, ensure};
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::Gateway;
use gwpool_harness::net::namespace::output;
use gwpool_harness::net::nat_pool::{self, WEB};
use gwpool_harness::net::site::Site;
use gwpool_harness::net::world::World;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

/// Requests over each route through each gateway.
const REQUESTS: u64 = 30;
/// What is wrong with one route is mostly wrong with all.
const FAULTS_SHOWN: usize = 6;

/// Shares of one route: backend to connections.
type Shares = BTreeMap<String, u64>;

/// Builds, shows, takes down.
pub fn run(datapath: Datapath) -> Result<ExitCode> {
    let world = build(&World::fresh_id("run"), datapath)?;
    let code = show(&world.site);
    let begin = Instant::now();
    drop(world);
    println!(
        "lab: everything is taken down ({:.1} s)",
        begin.elapsed().as_secs_f32()
    );
    code
}

/// Links, servers, daemons, with a line for each. If nobody reads the lines, nobody wants the lab: that is an error.
pub fn build(id: &str, datapath: Datapath) -> Result<World> {
    let begin = Instant::now();
    let done = |what: &str| {
        let seconds = begin.elapsed().as_secs_f32();
        writeln!(std::io::stdout(), "lab: {what} ({seconds:.1} s)").context("telling the progress")
    };
    let mut world = World::links(id, datapath)?;
    done("a client and gateway-1 to gateway-3 are cabled to gateway-network and box-network")?;
    nat_pool::build(&world.site, datapath).context("building the NAT pair's links")?;
    done(
        "so are gateway-4 and gateway-5, box-1 and box-2 inside, and an internet host behind a router",
    )?;
    world.serve_all()?;
    let internet = world.site.nat_pool.internet.clone();
    world.serve_at(&internet, "internet", &[WEB.port()])?;
    done(
        "web servers listen where the NodePorts would, on gateway-1 to gateway-3, and on the internet host",
    )?;
    // One pool after the other: each daemon's programs are verified at its start, which takes a CPU seconds.
    world.start_all()?;
    world.start_together(&world.site.nat_pool.gateways().map(Gateway::clone))?;
    done(&format!(
        "gwpool-user runs on each gateway, datapath {}",
        datapath.name()
    ))?;
    Ok(world)
}

/// Requests over all routes through each gateway, then the inside hosts' own; success if every one of the former was
/// shared out evenly, and nobody outside saw an inside host as itself.
pub fn show(site: &Site) -> Result<ExitCode> {
    let begin = Instant::now();
    let mut faults = Vec::new();
    let mut requests = 0;
    for gateway in &site.gateways {
        requests += drive(site, gateway, &mut faults)
            .with_context(|| format!("through {}", gateway.name))?;
    }
    println!(
        "lab: {requests} requests answered ({:.1} s)",
        begin.elapsed().as_secs_f32()
    );
    let unsaid = faults.len().saturating_sub(FAULTS_SHOWN);
    faults.truncate(FAULTS_SHOWN);
    outbound::show(site, &mut faults)?;
    for gateway in site.both_pools() {
        println!("\n{} ({})", gateway.name, gateway.gateway_network);
        match output(&mut gateway.user("stats")?) {
            Ok(tables) => print!("{tables}"),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    println!();
    if faults.is_empty() {
        println!("thirds, to the request: by the servers' own counts and by stats");
        println!("inside hosts go out as gateway-4: by the internet host's own word");
        return Ok(ExitCode::SUCCESS);
    }
    for fault in &faults {
        println!("NOT AS IT MUST BE: {fault}");
    }
    if unsaid > 0 {
        println!("and {unsaid} more of routes");
    }
    Ok(ExitCode::FAILURE)
}

/// All routes through one gateway; what was not even is added to `faults`.
fn drive(site: &Site, gateway: &Gateway, faults: &mut Vec<String>) -> Result<u64> {
    let before = gateway.stats()?;
    ensure!(!before.routes.is_empty(), "stats lists no route");
    let mut requests = 0;
    let mut served = Vec::new();
    for route in &before.routes {
        let port = route.port()?;
        let host = gateway.front(port);
        let earlier = site.served_at(port)?;
        let answers = site.client.sequential(host, REQUESTS as usize);
        requests += answers
            .with_context(|| format!("route {}", route.name))?
            .len() as u64;
        served.push((route, difference(&site.served_at(port)?, &earlier)));
    }
    let after = gateway.stats()?;
    for (route, servers) in &served {
        let counted = difference(&after.route(&route.name)?.shares(), &route.shares());
        for (who, shares) in [("the servers", servers), ("stats", &counted)] {
            if !is_even(shares) {
                let (gateway, route) = (&gateway.name, &route.name);
                faults.push(format!(
                    "{route} through {gateway} is not even by {who}: {shares:?}"
                ));
            }
        }
    }
    let names: Vec<_> = served
        .iter()
        .map(|(route, _)| route.name.as_str())
        .collect();
    println!(
        "lab: {} asked, {REQUESTS} requests each: {}",
        gateway.name,
        names.join(", ")
    );
    Ok(requests)
}

/// All were served, and no backend got two more than another.
fn is_even(shares: &Shares) -> bool {
    let (least, most) = (
        shares.values().min().unwrap_or(&0),
        shares.values().max().unwrap_or(&0),
    );
    shares.len() == 3 && shares.values().sum::<u64>() == REQUESTS && most - least <= 1
}

fn difference(after: &Shares, before: &Shares) -> Shares {
    let less = |name: &String| before.get(name).copied().unwrap_or(0);
    after
        .iter()
        .map(|(name, value)| (name.clone(), value - less(name)))
        .collect()
}
