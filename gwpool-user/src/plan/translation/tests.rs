//! Translation on a host whose addresses come and go.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::plan::world::{self, INNER, OUTER, adopted, apply, inner};
use crate::plan::{Access, Image, MapWrite, NatTimers, diff};
use gwpool_common::net::Network;

/// What is wanted of these, on top of what is installed.
fn laid(installed: &Image, plan: &Plan, host: &Host) -> Image {
    apply(installed, &diff(installed, plan, host).unwrap())
}

fn outer(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

/// The world's plan, of a host that also translates.
fn plan(change: impl Fn(&mut Nat)) -> Plan {
    let mut nat = Nat {
        inside: "box-network".to_owned(),
        outside: "gateway-network".to_owned(),
        seen_as: SeenAs::Vips(vec![outer(254)]),
        ..Nat::default()
    };
    change(&mut nat);
    let mut plan = world::plan();
    plan.networks[0].vips = vec![inner(254)];
    plan.networks[1].vips = nat.seen_as.addresses().to_vec();
    Plan {
        nat: Some(nat),
        ..plan
    }
}

/// The world's host with more addresses on a link.
fn host(link: &str, addresses: &[&str]) -> Host {
    let mut host = world::host();
    let link = host.links.get_mut(link).unwrap();
    let more = addresses.iter().map(|address| address.parse::<Ipv4Net>());
    link.addresses.extend(more.map(Result::unwrap));
    host
}

fn is_active(image: &Image) -> bool {
    image.nat.flags & InMap::<V4>::ACTIVE != 0
}

fn handed_out(image: &Image) -> Vec<Ipv4Addr> {
    let count = image.nat.address_count as usize;
    image.nat.addresses[..count]
        .iter()
        .map(|address| Ipv4Addr::from(*address))
        .collect()
}

fn master() -> Host {
    host("gateway-network", &["10.0.0.254/32"])
}

#[test]
fn the_programs_are_told_all_of_it() {
    let plan = plan(|nat| {
        nat.ports_per_host = 7;
        nat.log = true;
        nat.timers = NatTimers {
            tcp_established_s: 1,
            tcp_transitory_s: 2,
            udp_s: 3,
            udp_unreplied_s: 4,
            icmp_s: 5,
            other_s: 6,
        };
    });
    let image = laid(&Image::default(), &plan, &master());
    let mut addresses = [[0; 4]; 8];
    addresses[0] = [10, 0, 0, 254];
    let expected = InMap {
        flags: InMap::<V4>::ON | InMap::<V4>::ACTIVE | InMap::<V4>::LOGS,
        inside: INNER,
        outside: OUTER,
        own: [192, 168, 1, 1],
        addresses,
        address_count: 1,
        ports_per_host: 7,
        tcp_filtering: InMap::<V4>::BY_FLOW,
        udp_filtering: InMap::<V4>::BY_ADDRESS,
        tcp_established_s: 1,
        tcp_transitory_s: 2,
        udp_s: 3,
        udp_unreplied_s: 4,
        icmp_s: 5,
        other_s: 6,
        longest_s: 6,
    };
    assert_eq!(image.nat, expected);
    assert_eq!(image.settings.shortest_s, 1);
    let usual = laid(&Image::default(), &self::plan(|_| ()), &master());
    assert_eq!(usual.nat.longest_s, 7_440);
    assert_eq!(usual.settings.shortest_s, 10, "closed TCP in a hurry");
}

#[test]
fn it_is_active_while_the_vip_is_here() {
    let plan = plan(|_| ());
    let backup = laid(&Image::default(), &plan, &world::host());
    assert_eq!((is_active(&backup), handed_out(&backup)), (false, vec![]));
    assert_ne!(backup.nat.flags & InMap::<V4>::ON, 0);
    let comes = diff(&backup, &plan, &master()).unwrap().writes;
    assert!(
        matches!(
            comes[..],
            [
                MapWrite::Settings(_),
                MapWrite::Address(..),
                MapWrite::Nat(_)
            ]
        ),
        "{comes:?}"
    );
    let active = laid(&backup, &plan, &master());
    assert_eq!(
        (is_active(&active), handed_out(&active)),
        (true, vec![outer(254)])
    );
    assert_eq!(
        diff(&adopted(&active), &plan, &master()).unwrap().writes,
        []
    );
    let goes = diff(&active, &plan, &world::host()).unwrap().writes;
    assert!(
        matches!(goes[..], [MapWrite::Nat(_), MapWrite::Address(_, None)]),
        "{goes:?}"
    );
    let gone = laid(&active, &plan, &world::host());
    assert_eq!(
        gone.settings, active.settings,
        "packets to it may be its flows'"
    );
    assert_eq!(
        Image {
            settings: backup.settings,
            ..gone
        },
        backup
    );
}

#[test]
fn only_addresses_that_are_here_are_handed_out() {
    let plan = plan(|nat| nat.seen_as = SeenAs::Given(vec![outer(7), outer(8), outer(9)]));
    let held = |host: &Host| handed_out(&laid(&Image::default(), &plan, host));
    assert_eq!(held(&world::host()), Vec::<Ipv4Addr>::new());
    let two = host("gateway-network", &["10.0.0.9/24", "10.0.0.7/24"]);
    assert_eq!(held(&two), [outer(7), outer(9)], "in the plan's order");
    assert_eq!(held(&host("lo", &["10.0.0.8/32"])), [outer(8)]);
}

#[test]
fn without_vip_and_address_it_is_the_interfaces_own() {
    let mut plan = plan(|nat| nat.seen_as = SeenAs::Interface);
    let own = |plan: &Plan, host: &Host| handed_out(&laid(&Image::default(), plan, host));
    let two = host("gateway-network", &["10.0.0.2/24"]);
    assert_eq!(own(&plan, &two), [outer(1)]);
    plan.networks[1].address = Some(outer(2));
    assert_eq!(own(&plan, &two), [outer(2)]);
    let mut bare = two.clone();
    bare.links
        .get_mut("gateway-network")
        .unwrap()
        .addresses
        .clear();
    assert!(!is_active(&laid(&Image::default(), &plan, &bare)));
}

#[test]
fn a_vip_is_never_this_hosts_own_address() {
    let mut host = master();
    let first = "192.168.1.254/32".parse().unwrap();
    host.links
        .get_mut("box-network")
        .unwrap()
        .addresses
        .insert(0, first);
    let image = laid(&Image::default(), &plan(|_| ()), &host);
    assert_eq!(image.nat.own, [192, 168, 1, 1]);
    assert_eq!(image.backends[&2].source, [192, 168, 1, 1]);
}

fn prefixes(image: &Image) -> Vec<Ipv4Net> {
    let prefix = |network: &Network<V4>| {
        assert_eq!(network.interface, INNER);
        Ipv4Net::with_netmask(network.prefix.into(), network.mask.into()).unwrap()
    };
    image.networks.iter().map(prefix).collect()
}

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

#[test]
fn sources_are_guarded_like_what_the_interface_is_connected_to() {
    let plan = plan(|nat| {
        nat.sources = vec![
            net("172.16.0.0/16"),
            net("192.168.1.8/29"),
            net("172.16.1.0/24"),
        ]
    });
    let vip = host("box-network", &["192.168.1.254/32"]);
    let image = laid(&Image::default(), &plan, &vip);
    assert_eq!(
        prefixes(&image),
        [net("172.16.0.0/16"), net("192.168.1.0/24")],
        "one inside another says nothing"
    );
}

#[test]
fn an_interface_that_loses_its_address_keeps_guard_and_own_address() {
    let plan = plan(|nat| nat.sources = vec![net("172.16.0.0/16")]);
    let before = laid(&Image::default(), &plan, &master());
    let mut bare = master();
    let link = bare.links.get_mut("box-network").unwrap();
    link.addresses = vec![net("192.168.1.254/32")];
    // The routes cannot be laid on it, and what runs goes on.
    assert!(diff(&before, &plan, &bare).is_err());
    let without = Plan {
        routes: Vec::new(),
        peers: Vec::new(),
        ..plan
    };
    let before = laid(&Image::default(), &without, &master());
    for addresses in [vec![net("192.168.1.254/32")], Vec::new()] {
        bare.links.get_mut("box-network").unwrap().addresses = addresses;
        let after = laid(&adopted(&before), &without, &bare);
        assert_eq!(after.networks, before.networks);
        assert_eq!(after.nat, before.nat);
        let fresh = diff(&Image::default(), &without, &bare).unwrap_err();
        assert!(
            fresh.to_string().contains("who is inside is not known"),
            "{fresh}"
        );
    }
}

#[test]
fn inside_and_outside_do_not_overlap() {
    let error = |sources: &[&str], outside: &str| {
        let plan = plan(|nat| nat.sources = sources.iter().map(|source| net(source)).collect());
        let host = host("gateway-network", &[outside]);
        diff(&Image::default(), &plan, &host)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(error(&["172.16.0.0/16"], "10.0.0.254/32"), None);
    let connected = error(&[], "192.168.0.9/16").unwrap();
    assert!(
        connected.contains("192.168.1.0/24 (box-network)")
            && connected.contains("192.168.0.0/16 (gateway-network)"),
        "{connected}"
    );
    let given = error(&["10.0.0.128/25"], "10.0.0.254/32").unwrap();
    assert!(
        given.contains("10.0.0.128/25 (gwpool.nat.sources)"),
        "{given}"
    );
}

#[test]
fn its_lists_stand_before_it_and_go_after_it() {
    let access = Access {
        allow: vec![net("192.168.1.0/24")],
        deny: vec![net("192.168.1.7/32")],
    };
    let guarded = plan(|nat| nat.access = access.clone());
    let (open, master) = (plan(|_| ()), master());
    let before = laid(&Image::default(), &open, &master);
    let on = diff(&before, &guarded, &master).unwrap().writes;
    assert!(
        matches!(
            on[..],
            [
                MapWrite::Access(0, _, Some(_)),
                MapWrite::Access(0, _, Some(_)),
                MapWrite::Nat(_)
            ]
        ),
        "{on:?}"
    );
    let image = laid(&before, &guarded, &master);
    let flags = InMap::<V4>::GUARDED | InMap::<V4>::DENIES_REST;
    assert_eq!(image.nat.flags & flags, flags);
    assert_eq!(image.access(0, inner(8)), Some(true));
    assert_eq!(image.access(0, inner(7)), Some(false));
    let off = diff(&image, &open, &master).unwrap().writes;
    assert!(
        matches!(
            off[..],
            [
                MapWrite::Nat(_),
                MapWrite::Access(0, _, None),
                MapWrite::Access(0, _, None)
            ]
        ),
        "{off:?}"
    );
}

#[test]
fn a_host_that_translates_no_longer_says_so_first() {
    let image = laid(
        &Image::default(),
        &plan(|nat| nat.sources = vec![net("172.16.0.0/16")]),
        &master(),
    );
    let writes = diff(&image, &world::plan(), &master()).unwrap().writes;
    assert!(
        matches!(
            &writes[..],
            [MapWrite::Nat(nat), MapWrite::Network(..), MapWrite::Network(..)] if nat.flags == 0
        ),
        "{writes:?}"
    );
}

#[test]
fn an_address_that_nobody_moves_and_nobody_has_is_warned_of() {
    let absent = |seen_as: SeenAs, host: &Host| {
        let plan = plan(|nat| nat.seen_as = seen_as.clone());
        let mut warnings = crate::plan::warnings::warnings(&plan, host);
        warnings.retain(|warning| warning.contains("gwpool.nat"));
        warnings
    };
    let two = vec![outer(7), outer(254)];
    let given = absent(SeenAs::Given(two.clone()), &master());
    assert_eq!(given.len(), 1, "{given:#?}");
    assert!(
        given[0].ends_with("ip address add 10.0.0.7/32 dev gateway-network"),
        "{given:#?}"
    );
    let none = Vec::<String>::new();
    assert_eq!(absent(SeenAs::Vips(two), &world::host()), none);
    assert_eq!(absent(SeenAs::Interface, &world::host()), none);
}
