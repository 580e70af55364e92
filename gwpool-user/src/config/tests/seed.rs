//! The seed's files, unchanged, with one more file for the addresses.
#![forbid(unsafe_code)]

use super::*;
use crate::plan::{Datapath, ListenAddress, Protocol, SeenAs};

const ADDRESSES: &str = "
kube_gateway_pool:
  hosts:
    gateway-1: {box-network: {address: 192.168.1.1}}
    gateway-2: {box-network: {address: 192.168.1.2}}
    gateway-3: {ansible_host: 192.168.1.3}
";

fn seed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/seed")
        .join(name)
}

/// The seed, with the addresses as a second `-i`, for a node.
fn loaded(node: &str) -> Loaded {
    let files = Files::new(&[("addresses.yml", ADDRESSES)]);
    let mut sources = files.sources(&["addresses.yml"], &[], node);
    sources.inventories.insert(0, seed("inventory.yml"));
    sources.extra = vec![format!("@{}", seed("group_vars.yml").display())];
    load_with(&sources, &nobody).unwrap()
}

#[test]
fn the_six_routes_of_a_gateway() {
    let plan = loaded("gateway-1").plan;
    let ports: Vec<(&str, u16)> = plan
        .routes
        .iter()
        .map(|route| (route.name.as_str(), route.port))
        .collect();
    let expected = [
        ("argocd", 30080),
        ("dash", 30082),
        ("keycloak", 30083),
        ("kibana", 30084),
        ("pgadmin4", 30081),
        ("v-admin", 30085),
    ];
    assert_eq!(ports, expected);
    for route in &plan.routes {
        let backends: Vec<_> = route
            .backends
            .iter()
            .map(|backend| (backend.name.as_str(), backend.address))
            .collect();
        let expected = [
            ("gateway-1", None),
            ("gateway-2", Some(Ipv4Addr::new(192, 168, 1, 2))),
            ("gateway-3", Some(Ipv4Addr::new(192, 168, 1, 3))),
        ];
        assert_eq!(backends, expected, "{}", route.name);
        assert!(
            route
                .backends
                .iter()
                .all(|backend| backend.port == route.port)
        );
        assert_eq!(
            (route.mode.as_str(), route.protocol, route.enabled),
            ("http", Protocol::Tcp, true)
        );
        assert_eq!(
            (&route.listen[..], route.network.as_str()),
            (&[ListenAddress::Any][..], "box-network")
        );
    }
    assert_eq!(
        (plan.node.as_str(), plan.datapath),
        ("gateway-1", Datapath::Auto)
    );
}

#[test]
fn networks_and_peers_of_a_gateway() {
    let plan = loaded("gateway-2").plan;
    let networks: Vec<_> = plan
        .networks
        .iter()
        .map(|n| (n.name.as_str(), n.interface.as_str(), n.inner))
        .collect();
    let expected = [
        ("box-network", "box-network", true),
        ("gateway-network", "gateway-network", false),
    ];
    assert_eq!(networks, expected);
    assert_eq!(
        plan.networks[0].address,
        Some(Ipv4Addr::new(192, 168, 1, 2))
    );
    assert_eq!(plan.networks[1].address, None);
    let peers: Vec<_> = plan
        .peers
        .iter()
        .map(|peer| (peer.name.as_str(), peer.address.octets()[3]))
        .collect();
    assert_eq!(peers, [("gateway-1", 1), ("gateway-3", 3)]);
}

#[test]
fn own_address_comes_from_the_network_only() {
    // gateway-3 has an `ansible_host`, which may be on any network.
    assert_eq!(loaded("gateway-3").plan.networks[0].address, None);
}

#[test]
fn a_nat_gateway_has_no_routes_and_asks_for_no_address() {
    let sources = Sources {
        inventories: vec![seed("inventory.yml")],
        extra: vec![format!("@{}", seed("group_vars.yml").display())],
        node: Some("gateway-4.example.org".to_owned()),
    };
    let loaded = load_with(&sources, &|name| panic!("{name} is asked for")).unwrap();
    assert_eq!(loaded.plan.node, "gateway-4");
    assert!(loaded.plan.routes.is_empty() && loaded.plan.peers.is_empty());
    let inner: Vec<_> = loaded
        .plan
        .networks
        .iter()
        .map(|n| (n.name.as_str(), n.inner))
        .collect();
    assert_eq!(inner, [("box-network", true), ("gateway-network", false)]);
    let nat = loaded.plan.nat.as_ref().unwrap();
    assert_eq!(nat.seen_as, SeenAs::Interface);
    assert_eq!(
        loaded.plan.networks[0].vips,
        [Ipv4Addr::new(192, 168, 1, 254)]
    );
    let folder = format!("{}/", seed("").display());
    let told: Vec<String> = loaded
        .notes
        .iter()
        .map(|note| note.to_string().replace(folder.trim_end_matches('/'), ""))
        .collect();
    assert!(
        told.iter()
            .any(|note| note.starts_with("/inventory.yml:29:7: VRRP"))
            && told.iter().any(|note| {
                note.starts_with("/inventory.yml:26:23: outbound connections end at a failover")
            }),
        "{told:#?}"
    );
    let warnings = loaded.notes.iter().filter(|note| note.is_warning);
    assert_eq!(warnings.count(), 1);
}

#[test]
fn the_vars_file_and_the_addresses_come_by_either_option() {
    let files = Files::new(&[("addresses.yml", ADDRESSES)]);
    let mut sources = files.sources(&[], &["@addresses.yml"], "gateway-1");
    sources.inventories = vec![seed("inventory.yml"), seed("group_vars.yml")];
    assert_eq!(
        load_with(&sources, &nobody).unwrap().plan,
        loaded("gateway-1").plan
    );
}

#[test]
fn notes_are_said_once_with_their_place() {
    let notes = loaded("gateway-1").notes;
    let folder = format!("{}/", seed("").display());
    let told: Vec<String> = notes
        .iter()
        .map(|note| note.to_string().replace(folder.trim_end_matches('/'), ""))
        .collect();
    let of = |word: &str| told.iter().filter(|note| note.contains(word)).count();
    let words = [
        "mode: http",
        "httplog",
        "all: {vars: {app",
        "app['v-admin'].port",
        "this host itself and from its pods",
        "declared: 6 (30080-30085/tcp)",
    ];
    for word in words {
        assert_eq!(of(word), 1, "{word}: {told:#?}");
    }
    assert_eq!(told.len(), words.len(), "{told:#?}");
    assert!(
        told.iter()
            .any(|note| note.contains("group_vars.yml:64:13: `app.v-admin.port`")),
        "{told:#?}"
    );
}

#[test]
fn without_addresses_each_missing_one_is_told_with_the_three_ways() {
    let sources = Sources {
        inventories: vec![seed("inventory.yml")],
        extra: vec![format!("@{}", seed("group_vars.yml").display())],
        node: Some("gateway-1".to_owned()),
    };
    let report = load_with(&sources, &nobody).unwrap_err();
    let hosts: Vec<_> = report
        .errors
        .iter()
        .map(|error| (error.at.line, error.to_string()))
        .collect();
    assert_eq!(hosts.len(), 2, "{report}");
    assert_eq!((hosts[0].0, hosts[1].0), (21, 22));
    for way in [
        "box-network: {address: A}",
        "ansible_host",
        "a name that resolves",
    ] {
        assert!(hosts[0].1.contains(way), "{report}");
    }
}

#[test]
fn a_wrong_node_is_told_the_hosts() {
    let mut sources = Files::new(&[]).sources(&[], &[], "gateway-7");
    sources.inventories = vec![seed("inventory.yml")];
    let report = load_with(&sources, &nobody).unwrap_err().to_string();
    assert!(
        report.contains("`gateway-7`")
            && report.contains("gateway-1, gateway-2, gateway-3, gateway-4"),
        "{report}"
    );
}

#[test]
fn the_table_shows_routes_backends_and_notes() {
    let table = table(&loaded("gateway-1"));
    for part in [
        "node gateway-1, datapath auto",
        "*:30085",
        "gateway-1 this node:30080",
        "gateway-2 192.168.1.2:30080",
        "note: ",
    ] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
}
