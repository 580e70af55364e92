//! What moves the epoch, and what does not.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;

fn picture() -> Host {
    let link = Link {
        index: 3,
        mac: [2, 0, 0, 0, 0, 1],
        up: true,
        addresses: vec!["10.0.0.1/24".parse().unwrap()],
        mtu: 1500,
        ..Link::default()
    };
    let path = Path {
        destination: "0.0.0.0/0".parse().unwrap(),
        gateway: Some(Ipv4Addr::new(10, 0, 0, 254)),
        interface: 3,
        table: 254,
        priority: 0,
    };
    Host {
        links: BTreeMap::from([("box-network".to_owned(), link)]),
        routes: BTreeSet::from([path]),
        ..Host::default()
    }
}

fn neighbour(last: u8) -> Neighbour {
    Neighbour {
        mac: [2, 0, 0, 0, 0, last],
        permanent: false,
    }
}

#[test]
fn the_same_picture_moves_nothing() {
    assert!(!picture().epoch_moved(&picture()));
}

#[test]
fn addresses_links_and_routes_move_the_epoch() {
    let changes: [fn(&mut Host); 6] = [
        |host| host.routes.clear(),
        |host| host.links.clear(),
        |host| {
            host.links.insert("new".to_owned(), Link::default());
        },
        |host| host.links.get_mut("box-network").unwrap().up = false,
        |host| host.links.get_mut("box-network").unwrap().mac[5] = 9,
        |host| host.links.get_mut("box-network").unwrap().addresses.clear(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut after = picture();
        change(&mut after);
        assert!(picture().epoch_moved(&after), "change {number}");
    }
}

#[test]
fn a_neighbours_new_ethernet_address_moves_the_epoch_and_its_coming_and_going_does_not() {
    let key = (3, Ipv4Addr::new(10, 0, 0, 9));
    let with = |mac| {
        let mut host = picture();
        host.neighbours.insert(key, neighbour(mac));
        host
    };
    assert!(with(1).epoch_moved(&with(2)));
    assert!(!with(1).epoch_moved(&with(1)));
    assert!(!with(1).epoch_moved(&picture()));
    assert!(!picture().epoch_moved(&with(1)));
}

#[test]
fn our_own_marks_do_not_move_the_epoch() {
    let mut after = picture();
    let link = after.links.get_mut("box-network").unwrap();
    link.carries_xdp = true;
    link.program = Some(7);
    assert!(!picture().epoch_moved(&after));
}

#[test]
fn gateways_are_those_of_default_routes() {
    let mut host = picture();
    host.routes.insert(Path {
        destination: "10.9.0.0/16".parse().unwrap(),
        gateway: Some(Ipv4Addr::new(10, 0, 0, 7)),
        interface: 3,
        table: 254,
        priority: 0,
    });
    assert_eq!(
        host.gateways().collect::<Vec<_>>(),
        [(3, Ipv4Addr::new(10, 0, 0, 254))]
    );
}
