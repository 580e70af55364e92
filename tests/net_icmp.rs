//! ICMP errors about a flow, from a real host: a backend whose firewall refuses a connection by ICMP instead of RST.
//! The client hears of it, though the error quotes a packet it has never sent.

use anyhow::Result;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::world::World;
use std::io::ErrorKind;
use std::net::TcpStream;

/// Every connection to a NodePort is refused: "communication administratively prohibited".
const RULES: &str = "
table ip refuse {
    chain input { type filter hook input priority filter; tcp dport 30080-30085 reject with icmp type admin-prohibited; }
}
";

fn a_refusal_reaches_the_client(datapath: Datapath) -> Result<()> {
    let world = World::up(datapath)?;
    let (site, gateway) = (&world.site, world.site.gateway(1));
    let port = gateway.stats()?.routes[0].port()?;
    let refusing = site.gateway(2);
    let host = site.turn_to(gateway, port, &refusing.name)?;
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
