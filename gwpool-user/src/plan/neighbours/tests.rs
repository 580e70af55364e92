//! Whom the kernel should always know the way to.

use super::*;
use crate::host::machine::{Neighbour, Path};
use crate::plan::world::{INNER, OUTER, host, inner, plan};

#[test]
fn backends_on_the_link_and_default_gateways_are_but_not_ourselves_nor_what_is_permanent() {
    let router = Ipv4Addr::new(10, 0, 0, 254);
    let mut host = host();
    host.routes.insert(Path {
        destination: ipnet::Ipv4Net::default(),
        gateway: Some(router),
        interface: OUTER,
        table: 254,
        priority: 0,
    });
    let permanent = Neighbour {
        mac: [2; 6],
        permanent: true,
    };
    host.neighbours.insert((INNER, inner(3)), permanent);
    let mut plan = plan();
    plan.routes[0].backends[0].address = Some(inner(1));
    plan.routes[1].backends[0].address = Some(Ipv4Addr::new(172, 16, 0, 9));
    let wanted = BTreeSet::from([(OUTER, router), (INNER, inner(2))]);
    assert_eq!(managed(&plan, &host), wanted);
}
