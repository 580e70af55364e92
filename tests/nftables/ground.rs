//! The ground both forwarders stand on: the seed's links with gateway-1 between the client and its backends, and
//! behind a router with a small MTU on either side one host more.
//!
//! ```text
//!   distant 10.8.0.2 --(mtu 1300)-- near-router 10.9.0.40      box-router 192.168.1.30 --(mtu 1300)-- far 172.16.0.2
//!                                        |                          |
//!        client 10.9.0.100 ===== gateway-network == gateway-1 == box-network ===== gateway-2, gateway-3: backends
//! ```

use anyhow::Result;
use gwpool_harness::net::fabric::{self, Datapath};
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::site;
use gwpool_harness::net::sockets::{self, Pair, listen};
use gwpool_harness::net::wait::wait_for;
use gwpool_harness::net::wire::{Packet, Tap};
use gwpool_harness::net::world::World;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarder {
    /// The daemon and its programs.
    Gwpool,
    /// nftables: DNAT in turn, and masquerade.
    Nftables,
}

/// Where gateway-1 listens, and what stands behind it.
pub const ONE: u16 = 8081;
pub const TWO: u16 = 8082;
pub const FAR: u16 = 8083;
pub const CLOSED: u16 = 8084;
pub const UDP: u16 = 8053;
pub const UDP_FAR: u16 = 8054;
pub const UDP_CLOSED: u16 = 8055;
/// Where backends listen.
pub const WEB: u16 = 8080;
pub const DNS: u16 = 53;

pub const CLIENT: Ipv4Addr = site::CLIENT;
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

const ROUTES: &str = r#"
    one: {mode: tcp, address: "*", port: 8081, destination: {addresses: [192.168.1.2], port: 8080}}
    two: {mode: tcp, address: "*", port: 8082, destination: {addresses: [192.168.1.2, 192.168.1.3], port: 8082}}
    far: {mode: tcp, address: "*", port: 8083, destination: {addresses: [172.16.0.2], port: 8080}}
    closed: {mode: tcp, address: "*", port: 8084, destination: {addresses: [192.168.1.2], port: 9}}
    udp: {mode: udp, address: "*", port: 8053, destination: {addresses: [192.168.1.2], port: 53}}
    udp-far: {mode: udp, address: "*", port: 8054, destination: {addresses: [172.16.0.2], port: 53}}
    udp-closed: {mode: udp, address: "*", port: 8055, destination: {addresses: [192.168.1.2], port: 9}}
"#;

const RULES: &str = "
table ip balance {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        ip daddr 10.9.0.1 tcp dport 8081 dnat to 192.168.1.2:8080
        ip daddr 10.9.0.1 tcp dport 8082 dnat to numgen inc mod 2 map { 0 : 192.168.1.2, 1 : 192.168.1.3 }
        ip daddr 10.9.0.1 tcp dport 8083 dnat to 172.16.0.2:8080
        ip daddr 10.9.0.1 tcp dport 8084 dnat to 192.168.1.2:9
        ip daddr 10.9.0.1 udp dport 8053 dnat to 192.168.1.2:53
        ip daddr 10.9.0.1 udp dport 8054 dnat to 172.16.0.2:53
        ip daddr 10.9.0.1 udp dport 8055 dnat to 192.168.1.2:9
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname box-network masquerade
    }
}
";

/// How long something may take that perhaps never comes.
pub const PERHAPS: Duration = Duration::from_secs(2);

/// One forwarder's world.
pub struct Ground {
    pub world: World,
    pub far: Namespace,
    pub distant: Namespace,
}

impl Ground {
    pub fn up(datapath: Datapath, forwarder: Forwarder) -> Result<Ground> {
        let mut world = World::links(&World::fresh_id("t"), datapath)?;
        let site = world.site.clone();
        let router = |name, network, address: [u8; 4]| -> Result<Namespace> {
            let router = fabric::host(&site, name)?;
            fabric::plug(&site, datapath, (&router, name), network, address.into())?;
            Ok(router)
        };
        let inner = router("router", "box-network", [192, 168, 1, 30])?;
        let outer = router("near", "gateway-network", [10, 9, 0, 40])?;
        let (far, distant) = (fabric::host(&site, "far")?, fabric::host(&site, "distant")?);
        for (router, host, net) in [(&inner, &far, "172.16.0"), (&outer, &distant, "10.8.0")] {
            let ends = [format!("{net}.1/24"), format!("{net}.2/24")];
            fabric::wire((router, "narrow", &ends[0]), (host, "eth0", &ends[1]))?;
            router.ip(&["link set narrow mtu 1300".into()])?;
            host.ip(&[
                "link set eth0 mtu 1300".into(),
                format!("route add default via {net}.1"),
            ])?;
        }
        let gateway = site.gateway(1);
        gateway.namespace.ip(&[
            "route add 172.16.0.0/24 via 192.168.1.30".into(),
            "route add 10.8.0.0/24 via 10.9.0.40".into(),
        ])?;
        match forwarder {
            Forwarder::Gwpool => world.start_on(gateway, &site::inventory(ROUTES))?,
            Forwarder::Nftables => gateway.namespace.nft(RULES)?,
        }
        Ok(Ground {
            world,
            far,
            distant,
        })
    }

    pub fn gateway(&self) -> &Namespace {
        &self.world.site.gateway(1).namespace
    }

    pub fn client(&self) -> &Namespace {
        &self.world.site.client.namespace
    }

    /// The backend of most routes, and the second of `two`.
    pub fn backend(&self) -> &Namespace {
        &self.world.site.gateway(2).namespace
    }

    pub fn other(&self) -> &Namespace {
        &self.world.site.gateway(3).namespace
    }

    /// Does something while the gateway's link to its backends is as narrow as this, at both ends.
    pub fn narrowed<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let set = |mtu: u32| -> Result<()> {
            let port = fabric::port("box-network", "gateway-1");
            let (gateway, fabric) = (self.gateway(), &self.world.site.fabric);
            fabric.ip(&[format!("link set {port} mtu {mtu}")])?;
            gateway.ip(&[format!("link set box-network mtu {mtu}")])
        };
        set(1300)?;
        let done = work();
        set(1500)?;
        Ok(done)
    }

    /// A connection of the client's to one of the listeners, whose backend listens meanwhile.
    pub fn pair(&self, from: u16, to: u16, (host, port): (&Namespace, u16)) -> Result<Pair> {
        let listener = listen(host, ANY, port)?;
        sockets::pair(
            self.client(),
            from,
            SocketAddrV4::new(GATEWAY, to),
            &listener,
        )
    }
}

/// What was observed, a line each.
pub type Seen = Result<Vec<String>>;

/// How something ended: the error as programs tell it apart.
pub fn said<T>(result: Result<T>) -> String {
    let Err(error) = result else {
        return "done".into();
    };
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => format!("{:?}", error.kind()),
        None => format!("{error:#}"),
    }
}

/// What a host sees next of a kind, described; "nothing" if it does not come.
pub fn next(tap: &Tap, is: impl Fn(&Packet) -> bool) -> String {
    let packet = wait_for("a packet", PERHAPS, || {
        let packets = tap.drain()?;
        packets
            .into_iter()
            .find(&is)
            .ok_or_else(|| anyhow::anyhow!("none"))
    });
    packet.map_or("nothing".into(), |packet| describe(&packet))
}

/// Everything that a forwarder may change, but for the port it gives, which is a row of its own.
fn describe(packet: &Packet) -> String {
    let mut text = format!(
        "{} > {} tos {:#04x} ttl {} fragment {:#06x} options {:02x?} length {} header sum {}",
        packet.source(),
        packet.destination(),
        packet.tos(),
        packet.ttl(),
        packet.fragment(),
        packet.options(),
        packet.0.len(),
        packet.header_sum(),
    );
    match packet.protocol() {
        1 => text += &error(packet),
        17 => text += &format!(", udp checksum {}", packet.udp_sum()),
        _ => text += &format!(", tcp flags {:#04x}", packet.flags()),
    }
    text
}

/// An ICMP packet; of an error, whose it is.
fn error(packet: &Packet) -> String {
    let icmp = packet.transport();
    let rest = u16::from_be_bytes([icmp[6], icmp[7]]);
    let mut text = format!(
        ", icmp {}/{} {rest}, sum {}",
        icmp[0],
        icmp[1],
        packet.icmp_sum()
    );
    if icmp.len() >= 8 + 28 && icmp[0] != 0 && icmp[0] != 8 {
        let quoted = Packet(icmp[8..].to_vec());
        let (from, to) = quoted.ports();
        text += &format!(
            " quoting {}:{from} > {}:{to} ttl {} header sum {}",
            quoted.source(),
            quoted.destination(),
            quoted.ttl(),
            quoted.header_sum()
        );
    }
    text
}
