//! Every port of a NAT address is given out, the last one too, and each once; then nobody gets one that another has.

use anyhow::{Context, Result, ensure};
use gwpool_harness::bed;
use gwpool_harness::ports::{Address, PORTS};
use std::collections::BTreeSet;

#[test]
fn the_last_port_of_an_address_is_found() {
    bed::build().expect("the bed's namespace");
    let mut address = Address::new().expect("the programs load");
    let mut given = BTreeSet::new();
    for number in 0..PORTS {
        let port = address.one_more().expect("a packet");
        let port = port.unwrap_or_else(|| panic!("no port for socket {number} of {PORTS}"));
        assert!(port >= 1_024, "{port} is of another class");
        assert!(given.insert(port), "{port} is given out twice");
    }
    // The route of this world listens on port 80, which is of the other class.
    assert_eq!(given.len(), PORTS as usize);
    assert_eq!(address.one_more().expect("a packet"), None);
}

#[test]
fn a_wrong_hint_hides_no_port() -> Result<()> {
    bed::build()?;
    let mut address = Address::new()?;
    address.mislead()?;
    let mut given = BTreeSet::new();
    for host in 10..60 {
        let port = address.asked_by(host, 5_000)?;
        let port = port.with_context(|| format!("192.168.1.{host} got no port"))?;
        ensure!(given.insert(port), "{port} was given out twice");
    }
    Ok(())
}
