//! Reserved ports, counted one by one.

use super::*;
use crate::plan::world::{plan, route};
use crate::plan::{Nat, Route};
use std::net::Ipv4Addr;

const ADDRESS: V4 = [10, 9, 0, 254];
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const NONE: [u16; 0] = [];

/// A plan without routes whose NAT is so.
fn nat(change: impl Fn(&mut Nat)) -> Plan {
    let mut nat = Nat::default();
    change(&mut nat);
    Plan {
        nat: Some(nat),
        routes: Vec::new(),
        ..plan()
    }
}

fn ports(plan: &Plan, protocol: u8) -> Vec<u16> {
    let words = words(plan, ADDRESS, protocol);
    assert_eq!(words.len(), PORT_WORDS as usize);
    let is_set = |port: &u16| {
        let (word, mask) = bit(*port);
        words[word as usize] & mask != 0
    };
    (0..=u16::MAX).filter(is_set).collect()
}

#[test]
fn without_a_word_only_port_zero_is_reserved() {
    let plan = nat(|_| ());
    assert_eq!(ports(&plan, TCP), [0]);
    assert_eq!(ports(&plan, UDP), [0]);
}

#[test]
fn no_identifier_of_icmp_is_reserved() {
    let plan = nat(|nat| nat.ports = vec![1000..=1001]);
    assert_eq!(ports(&plan, ICMP), NONE);
    assert_eq!(ports(&plan, 47), NONE, "no ports, none reserved");
}

#[test]
fn what_is_outside_the_given_ports_is_reserved() {
    let plan = nat(|nat| nat.ports = vec![1..=63, 128..=128, 200..=65_534]);
    let wanted: Vec<u16> = [0]
        .into_iter()
        .chain(64..=127)
        .chain(129..=199)
        .chain([65_535])
        .collect();
    assert_eq!(ports(&plan, TCP), wanted);
}

#[test]
fn the_hosts_own_ports_are_reserved_whatever_is_given_out() {
    let plan = nat(|nat| nat.host_ports = vec![22..=22, 9090..=9200, 65_535..=65_535]);
    let wanted: Vec<u16> = [0, 22]
        .into_iter()
        .chain(9090..=9200)
        .chain([65_535])
        .collect();
    assert_eq!(ports(&plan, TCP), wanted);
    assert_eq!(ports(&plan, UDP), wanted);
}

#[test]
fn listeners_reserve_their_ports_by_protocol_and_address() {
    let mut plan = nat(|_| ());
    let on = |name: &str, port, listen: &[ListenAddress]| Route {
        listen: listen.to_vec(),
        ..route(name, port)
    };
    let other = ListenAddress::One(Ipv4Addr::new(10, 9, 0, 4));
    let here = ListenAddress::One(ADDRESS.into());
    plan.routes = vec![
        Route {
            ports: 3,
            ..on("any", 8000, &[ListenAddress::Any])
        },
        on("here", 9000, &[other, here]),
        on("elsewhere", 9001, &[other]),
        Route {
            protocol: Protocol::Udp,
            ..on("datagrams", 53, &[ListenAddress::Any])
        },
        Route {
            ports: 2,
            ..on("last", 65_534, &[ListenAddress::Any])
        },
    ];
    assert_eq!(
        ports(&plan, TCP),
        [0, 8000, 8001, 8002, 9000, 65_534, 65_535]
    );
    assert_eq!(ports(&plan, UDP), [0, 53]);
}

#[test]
fn a_host_that_does_not_translate_reserves_nothing() {
    assert_eq!(ports(&plan(), TCP), NONE);
}

#[test]
fn a_word_is_full_when_all_its_ports_are_taken() {
    let mut plan = nat(|nat| nat.ports = vec![128..=191, 4095..=4095, 65_535..=65_535]);
    let free = |words: &[u64]| {
        let full = full(words);
        assert_eq!(full.len(), 16);
        let clear = |word: &u32| full[(word / 64) as usize] & (1 << (word % 64)) == 0;
        (0..PORT_WORDS).filter(clear).collect::<Vec<_>>()
    };
    assert_eq!(free(&words(&plan, ADDRESS, TCP)), [2, 63, 1023]);
    plan.nat = None;
    assert_eq!(free(&words(&plan, ADDRESS, TCP)).len(), 1024);
}
