//! The peers, as a person would set them up for the work that gwpool does here: rule sets of nftables and iptables,
//! and HAProxy's configuration. Nothing in them is tuned for or against anybody; what a task adds, it says.

use anyhow::Result;
use gwpool_harness::net::namespace::Namespace;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The nftables table that everything stands in.
pub const TABLE: &str = "gateway";
/// The map in it that many routes stand in.
pub const ROUTES: &str = "routes";

/// What is balanced: every one of these ports, each connection to the next backend, at the same port.
pub struct Service<'a> {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where clients ask.
    pub listen: Ipv4Addr,
    /// At which ports.
    pub ports: &'a [u16],
    /// Who serves.
    pub backends: &'a [Ipv4Addr],
}

/// Where clients ask, and who serves that.
pub type Route = (SocketAddrV4, SocketAddrV4);

/// Rules of the kernel's, as text.
pub enum Rules {
    /// For `nft -f`.
    Nft(String),
    /// For `iptables-restore`.
    Iptables(String),
}

impl Rules {
    /// Loads them; for iptables that replaces what is there, nftables adds.
    pub fn load(&self, gateway: &Namespace) -> Result<()> {
        match self {
            Rules::Nft(text) => gateway.feed("nft", &["-f", "-"], text),
            Rules::Iptables(text) => gateway.feed("iptables-restore", &[], text),
        }
    }
}

/// Connections are tracked, and nothing else.
pub fn nft_conntrack() -> Rules {
    Rules::Nft(format!(
        "table ip {TABLE} {{\n chain forward {{\n  type filter hook forward priority filter;\n  \
         ct state established,related accept\n }}\n}}\n"
    ))
}

/// SNAT to the address of the interface by which it leaves.
pub fn nft_masquerade(out: &str) -> Rules {
    Rules::Nft(format!(
        "table ip {TABLE} {{\n{} }}\n",
        nft_postrouting(out)
    ))
}

/// DNAT in turn, and masquerade.
pub fn nft_balance(service: &Service, out: &str) -> Rules {
    let Service {
        protocol, listen, ..
    } = service;
    let (ports, count) = (comma(service.ports), service.backends.len());
    let places = service.backends.iter().enumerate();
    let places: Vec<String> = places
        .map(|(turn, backend)| format!("{turn} : {backend}"))
        .collect();
    let turns = format!("numgen inc mod {count} map {{ {} }}", places.join(", "));
    let rule = format!("ip daddr {listen} {protocol} dport {{ {ports} }} dnat to {turns}");
    let post = nft_postrouting(out);
    Rules::Nft(format!(
        "table ip {TABLE} {{\n chain prerouting {{\n  type nat hook prerouting priority dstnat;\n  {rule}\n }}\n{post}}}\n"
    ))
}

/// Many routes, each with one backend: one rule, and a map with an element a route.
pub fn nft_routes(protocol: &str, routes: &[Route]) -> Rules {
    let elements: Vec<String> = routes.iter().map(nft_element).collect();
    Rules::Nft(format!(
        "table ip {TABLE} {{\n map {ROUTES} {{\n  type ipv4_addr . inet_service : ipv4_addr . inet_service\n  \
         elements = {{\n{}\n  }}\n }}\n chain prerouting {{\n  type nat hook prerouting priority dstnat;\n  \
         dnat ip to ip daddr . {protocol} dport map @{ROUTES}\n }}\n}}\n",
        elements.join(",\n")
    ))
}

/// One of them, as it stands in the map.
pub fn nft_element((listen, backend): &Route) -> String {
    let (address, port) = (listen.ip(), listen.port());
    format!("{address} . {port} : {} . {}", backend.ip(), backend.port())
}

fn nft_postrouting(out: &str) -> String {
    format!(
        " chain postrouting {{\n  type nat hook postrouting priority srcnat;\n  oifname \"{out}\" masquerade\n }}\n"
    )
}

/// SNAT to the address of the interface by which it leaves.
pub fn iptables_masquerade(out: &str) -> Rules {
    iptables("", &iptables_postrouting(out))
}

/// DNAT in turn, a rule a backend, and masquerade.
pub fn iptables_balance(service: &Service, out: &str) -> Rules {
    let Service {
        protocol, listen, ..
    } = service;
    let mut rules = String::new();
    for port in service.ports {
        for (done, backend) in service.backends.iter().enumerate() {
            let every = service.backends.len() - done;
            let _ = writeln!(
                rules,
                "-A PREROUTING -d {listen}/32 -p {protocol} -m {protocol} --dport {port} \
                 -m statistic --mode nth --every {every} --packet 0 -j DNAT --to-destination {backend}:{port}"
            );
        }
    }
    iptables(&rules, &iptables_postrouting(out))
}

/// Many routes, each with one backend: a rule a route.
pub fn iptables_routes(protocol: &str, routes: &[Route]) -> Rules {
    let rules: Vec<String> = routes
        .iter()
        .map(|route| format!("-A {}\n", iptables_rule(protocol, route)))
        .collect();
    iptables(&rules.concat(), "")
}

/// One of them, without the verb.
pub fn iptables_rule(protocol: &str, (listen, backend): &Route) -> String {
    let (address, port) = (listen.ip(), listen.port());
    format!(
        "PREROUTING -d {address}/32 -p {protocol} -m {protocol} --dport {port} -j DNAT --to-destination {backend}"
    )
}

fn iptables_postrouting(out: &str) -> String {
    format!("-A POSTROUTING -o {out} -j MASQUERADE\n")
}

fn iptables(prerouting: &str, postrouting: &str) -> Rules {
    Rules::Iptables(format!("*nat\n{prerouting}{postrouting}COMMIT\n"))
}

/// HAProxy in turn, in mode `tcp` or `http`; threads, connections, their reuse and buffers are its defaults.
pub fn haproxy(mode: &str, service: &Service) -> String {
    let mut text = format!(
        "defaults\n mode {mode}\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
    );
    for port in service.ports {
        let listen = service.listen;
        let _ = writeln!(
            text,
            "listen p{port}\n bind {listen}:{port}\n balance roundrobin"
        );
        for (number, backend) in service.backends.iter().enumerate() {
            let _ = writeln!(text, " server b{number} {backend}:{port}");
        }
    }
    text
}

fn comma(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    ports.join(", ")
}

#[cfg(test)]
mod tests;
