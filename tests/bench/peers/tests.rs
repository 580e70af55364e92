//! What the peers are told, as they would read it.

use super::*;

const SERVICE: Service = Service {
    protocol: "tcp",
    listen: Ipv4Addr::new(10, 77, 1, 1),
    ports: &[80, 5201],
    backends: &[Ipv4Addr::new(10, 77, 2, 11), Ipv4Addr::new(10, 77, 2, 12)],
};

fn text(rules: Rules) -> String {
    match rules {
        Rules::Nft(text) | Rules::Iptables(text) => text,
    }
}

fn route(last: u8) -> Route {
    let listen = SocketAddrV4::new(Ipv4Addr::new(10, 78, 0, last), 9);
    (listen, SocketAddrV4::new(SERVICE.backends[0], 90))
}

#[test]
fn nftables_takes_turns_with_one_rule_for_all_ports() {
    let rules = text(nft_balance(&SERVICE, "box-network"));
    let rule = "ip daddr 10.77.1.1 tcp dport { 80, 5201 } dnat to numgen inc mod 2 map { 0 : 10.77.2.11, 1 : 10.77.2.12 }";
    assert!(rules.contains(rule), "{rules}");
    assert!(
        rules.contains("oifname \"box-network\" masquerade"),
        "{rules}"
    );
    assert_eq!(rules.matches('{').count(), rules.matches('}').count());
}

#[test]
fn the_last_rule_of_iptables_takes_all_that_the_others_leave() {
    let rules = text(iptables_balance(&SERVICE, "box-network"));
    let dnats: Vec<&str> = rules
        .lines()
        .filter(|line| line.contains("--dport 80 "))
        .collect();
    assert_eq!(dnats.len(), 2, "{rules}");
    assert!(dnats[0].contains("--every 2"), "{rules}");
    assert!(
        dnats[1].contains("--every 1 --packet 0 -j DNAT --to-destination 10.77.2.12:80"),
        "{rules}"
    );
    assert!(
        rules.ends_with("-A POSTROUTING -o box-network -j MASQUERADE\nCOMMIT\n"),
        "{rules}"
    );
}

#[test]
fn many_routes_are_elements_there_and_rules_here() {
    let routes = [route(1), route(2)];
    let nft = text(nft_routes("udp", &routes));
    assert!(
        nft.contains("10.78.0.1 . 9 : 10.77.2.11 . 90,\n10.78.0.2 . 9 : 10.77.2.11 . 90"),
        "{nft}"
    );
    assert!(
        nft.contains("dnat ip to ip daddr . udp dport map @routes"),
        "{nft}"
    );
    let iptables = text(iptables_routes("udp", &routes));
    assert_eq!(iptables.matches("-j DNAT").count(), 2, "{iptables}");
}

#[test]
fn haproxy_listens_at_every_port() {
    let text = haproxy("tcp", &SERVICE);
    assert!(
        text.contains(
            "listen p5201\n bind 10.77.1.1:5201\n balance roundrobin\n server b0 10.77.2.11:5201"
        ),
        "{text}"
    );
}
