//! ICMP errors about a flow, from a real host: a backend whose firewall refuses a connection by ICMP instead of RST.
//! The client hears of it, though the error quotes a packet it has never sent.

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::world::World;
use std::io::ErrorKind;
use std::net::TcpStream;

/// Every connection to the backend is refused: "communication administratively prohibited".
const RULES: &str = "
table ip refuse {
    chain input { type filter hook input priority filter; tcp dport 80 reject with icmp type admin-prohibited; }
}
";

/// Where the route listens. However slow the machine, no SYN that comes again is given to the other backend.
const PORT: u16 = 8080;
const ROUTES: &str = r#"
    web: {mode: tcp, address: "*", port: 8080, timeout: {connect: 1m}, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 80}}
"#;

fn a_refusal_reaches_the_client(datapath: Datapath) -> Result<()> {
    let mut world = World::with_routes(datapath, ROUTES)?;
    for number in [2, 3] {
        let backend = world.site.gateway(number).clone();
        world.serve_at(&backend.namespace, &backend.name, &[80])?;
    }
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let refusing = site.gateway(2);
    let host = gateway.front(PORT);
    let turns = (0..2).map(|_| Ok(site.client.get(host, "/")?.backend));
    let turns = turns.collect::<Result<Vec<_>>>()?;
    if turns[0] != refusing.name {
        site.client.get(host, "/")?;
    }
    refusing.namespace.nft(RULES)?;
    let before = gateway.stats()?.reasons["icmp_error"];

    // On one CPU the error is back while connect(2) still holds the socket, which then waits for the next one; either
    // way it ends with what the error says, long before a SYN would time out.
    let refused = site.client.namespace.enter(|| TcpStream::connect(host))?;
    let kind = refused.err().map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::HostUnreachable));
    assert!(gateway.stats()?.reasons["icmp_error"] > before);

    // The next turn is another's, which serves.
    assert_eq!(site.client.get(host, "/")?.backend, site.gateway(3).name);
    Ok(())
}

#[test]
fn a_backends_refusal_reaches_the_client_in_native() -> Result<()> {
    a_refusal_reaches_the_client(Datapath::Native)
}

#[test]
fn a_backends_refusal_reaches_the_client_in_tc() -> Result<()> {
    a_refusal_reaches_the_client(Datapath::Tc)
}
