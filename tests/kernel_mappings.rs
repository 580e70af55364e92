//! The sweep over mappings that packets have made: counted, never taken from who uses them, gone when they are over, and
//! their ports free again. What only a race or a killed daemon leaves behind is put in by hand.

use gwpool_common::nat::{End, Mapped, Mapping, Permission};
use gwpool_common::net::V4;
use gwpool_common::route::Source;
use gwpool_ebpf::pool;
use gwpool_harness::bed::{self, BOX_NETWORK, GATEWAY_NETWORK};
use gwpool_harness::frames::Frame;
use gwpool_harness::kernel::InKernel;
use gwpool_harness::subject::{Action, Hook, Subject};
use gwpool_user::datapath::sweep::{Sweep, Swept};
use gwpool_user::journal::driver as journal;
use gwpool_user::plan::{Limits, Plan};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 12);
const REMOTE: &str = "10.9.0.100";
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A translating gateway, and its sweep.
struct Gateway {
    kernel: InKernel,
    plan: Plan,
    sweep: Sweep,
    tick: u32,
}

impl Gateway {
    fn new() -> Gateway {
        bed::build().expect("the bed's namespace");
        let mut plan = bed::plan("nat", None).expect("the plan");
        plan.limits = Limits {
            flows: 1024,
            embryonic: 1024,
            mappings: 1024,
            ..plan.limits
        };
        let nat = plan.nat.as_mut().expect("it translates");
        (nat.log, nat.ports_per_host) = (true, 128);
        let mut kernel = InKernel::new(&plan.limits).expect("the programs load");
        let host = bed::host((32_768, 60_999));
        kernel.fill(&plan, &host).expect("the plan is laid");
        Gateway {
            kernel,
            plan,
            sweep: Sweep::default(),
            tick: 1000,
        }
    }

    /// An inside host's packet, and the outside port it leaves with.
    fn out(&mut self, protocol: &str, host: Ipv4Addr, port: u16, rest: &str) -> u16 {
        let text = format!("{protocol} {host}:{port} > {REMOTE}:53 {rest}");
        let bytes = self.send(BOX_NETWORK, &text);
        u16::from_be_bytes([bytes[34], bytes[35]])
    }

    /// What comes back to that port.
    fn back(&mut self, protocol: &str, port: u16, rest: &str) {
        let address = Ipv4Addr::from(self.address());
        let text = format!("{protocol} {REMOTE}:53 > {address}:{port} {rest}");
        self.send(GATEWAY_NETWORK, &text);
    }

    fn send(&mut self, interface: u32, text: &str) -> Vec<u8> {
        let frame = Frame::parse(text).expect("a frame").bytes();
        let (action, bytes) = self
            .kernel
            .run(Hook::Xdp, interface, &frame)
            .expect("a run");
        assert_eq!(action, Action::Send, "{text}");
        bytes
    }

    /// Goes on by so many seconds: ticks of 1.024 s, one that is not whole, and one in which what is idle may have begun.
    fn wait(&mut self, seconds: u16) {
        self.tick += u32::from(seconds) * 1000 / 1024 + 2;
        self.kernel.clock(self.tick).expect("the clock");
    }

    fn pass(&mut self) -> Swept {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let (datapath, image) = self.kernel.parts();
        let pass = self.sweep.pass(datapath, image, &self.plan);
        runtime.block_on(pass).expect("a pass")
    }

    /// Two passes: what is over is marked, then removed. Inside ports of the mappings that went.
    fn swept(&mut self) -> Vec<u16> {
        assert!(
            self.pass().mappings.over.is_empty(),
            "the first pass only marks"
        );
        let over = self.pass().mappings.over;
        let port = |(inside, _): &(End<V4>, End<V4>)| u16::from_be_bytes(inside.port);
        over.iter().map(port).collect()
    }

    fn address(&self) -> V4 {
        self.kernel.image().nat.addresses[0]
    }

    fn entries(&mut self) -> BTreeMap<End<V4>, Mapping<V4>> {
        let mappings = &self.kernel.parts().0.maps.mappings;
        mappings.iter().collect::<Result<_, _>>().expect("MAPPINGS")
    }

    fn held(&mut self, host: Ipv4Addr) -> u32 {
        let subscribers = &self.kernel.parts().0.maps.subscribers;
        subscribers.get(&host.octets(), 0).map_or(0, Source::flows)
    }

    fn permissions(&mut self) -> Vec<Permission<V4>> {
        let permissions = &self.kernel.parts().0.maps.permissions;
        permissions
            .keys()
            .collect::<Result<_, _>>()
            .expect("PERMISSIONS")
    }

    /// The ports of a protocol that `PORTS` says are taken.
    fn taken(&mut self, protocol: u8) -> Vec<u16> {
        let ports = &self.kernel.parts().0.maps.ports;
        let first = pool::words(0, pool::place(protocol).expect("a protocol with ports"));
        let is_taken = |port: &u16| {
            let (word, bit) = pool::bit(*port);
            ports.get(&(first + word), 0).expect("PORTS") & bit != 0
        };
        (0..=u16::MAX).filter(is_taken).collect()
    }

    fn set_bit(&mut self, protocol: u8, port: u16, set: bool) {
        let ports = &mut self.kernel.parts().0.maps.ports;
        let (word, bit) = pool::bit(port);
        let index = pool::words(0, pool::place(protocol).expect("a protocol with ports")) + word;
        let before = ports.get(&index, 0).expect("PORTS");
        let after = if set { before | bit } else { before & !bit };
        ports.set(index, after, 0).expect("PORTS");
    }

    /// What the programs have told the log: inside ports, and what.
    fn told(&mut self) -> Vec<(u16, u32)> {
        let ring = self.kernel.parts().0.maps.mapped.as_mut().expect("MAPPED");
        let mut told = Vec::new();
        while let Some(entry) = ring.next() {
            let mapped = journal::read(&entry).expect("a whole entry");
            told.push((u16::from_be_bytes(mapped.inside.port), mapped.what));
        }
        told
    }
}

#[test]
fn mappings_go_when_they_are_over_and_their_ports_are_free_again() {
    let mut gateway = Gateway::new();
    for port in 5000..5100 {
        assert_eq!(gateway.out("udp", HOST, port, "len=9"), port, "preserved");
    }
    let moved = gateway.out("udp", NEIGHBOUR, 5000, "len=9");
    assert_ne!(moved, 5000, "which another has");
    assert_eq!(
        (gateway.entries().len(), gateway.permissions().len()),
        (202, 101)
    );
    assert!(gateway.swept().is_empty(), "all are in use");
    assert_eq!((gateway.held(HOST), gateway.held(NEIGHBOUR)), (100, 1));

    gateway.wait(100);
    for port in 5000..5050 {
        gateway.out("udp", HOST, port, "len=9");
    }
    gateway.wait(30);
    let over = gateway.swept();
    assert_eq!(over.len(), 51, "{over:?}");
    assert_eq!(
        (gateway.entries().len(), gateway.permissions().len()),
        (100, 50)
    );
    // Who holds little is counted when it comes to much.
    assert_eq!(gateway.held(HOST), 50);
    let expected: Vec<u16> = [0].into_iter().chain(5000..5050).collect();
    assert_eq!(gateway.taken(UDP), expected, "port 0 is nobody's");
    assert_eq!(
        gateway.out("udp", NEIGHBOUR, 5070, "len=9"),
        5070,
        "it is free"
    );
}

#[test]
fn a_mapping_that_a_flow_names_stays_however_silent() {
    let mut gateway = Gateway::new();
    let port = gateway.out("tcp", HOST, 4000, "S seq=100");
    gateway.back("tcp", port, "SA seq=500 ack=101");
    gateway.out("tcp", HOST, 4000, "A seq=101 ack=501");
    gateway.out("tcp", HOST, 4001, "S seq=100");
    gateway.wait(300);
    assert_eq!(gateway.swept(), [4001], "nobody answered that one");
    gateway.wait(7440 - 300);
    let flows: u64 = (0..2).map(|_| gateway.pass().flows).sum();
    assert_eq!(flows, 1, "the flow goes first");
    assert_eq!(gateway.swept(), [4000]);
    assert!(gateway.entries().is_empty());
}

#[test]
fn one_that_is_used_between_two_passes_stays() {
    let mut gateway = Gateway::new();
    gateway.out("udp", HOST, 5000, "len=9");
    gateway.out("udp", HOST, 5001, "len=9");
    gateway.wait(130);
    assert!(gateway.pass().mappings.over.is_empty());
    assert_eq!(gateway.out("udp", HOST, 5000, "len=9"), 5000);
    let over = gateway.pass().mappings.over;
    assert_eq!(over.len(), 1, "{over:?}");
    assert_eq!(gateway.entries().len(), 2);
    assert_eq!(gateway.out("udp", HOST, 5000, "len=9"), 5000);
}

#[test]
fn what_is_left_in_halves_goes() {
    let mut gateway = Gateway::new();
    let port = gateway.out("udp", HOST, 5000, "len=9");
    let address = gateway.address();
    let outside = |port: u16| End {
        address,
        port: port.to_be_bytes(),
        protocol: UDP,
        side: End::<V4>::OUTSIDE,
    };
    let (inside, lost) = (
        End {
            address: HOST.octets(),
            port: 5000u16.to_be_bytes(),
            protocol: UDP,
            side: End::<V4>::INSIDE,
        },
        outside(7000),
    );
    let mappings = &mut gateway.kernel.parts().0.maps.mappings;
    let back = mappings.get(&outside(port), 0).expect("the outside end");
    // A killed program's: an outside end whose mapping has another one by now.
    mappings.insert(lost, back, 0).expect("MAPPINGS");
    assert!(gateway.swept().is_empty());
    assert!(!gateway.entries().contains_key(&lost));
    assert_eq!(gateway.entries().len(), 2, "the mapping is whole");

    // A killed daemon's: it had come half way.
    let mappings = &mut gateway.kernel.parts().0.maps.mappings;
    mappings.remove(&inside).expect("MAPPINGS");
    gateway.swept();
    assert!(gateway.entries().is_empty());
    assert_eq!(gateway.out("udp", HOST, 5000, "len=9"), port, "made anew");
    gateway.wait(2);
    gateway.out("udp", HOST, 5000, "len=9");
    assert_eq!(gateway.entries().len(), 2);
}

#[test]
fn counts_and_ports_are_set_right_and_reserved_ones_stay_taken() {
    let mut gateway = Gateway::new();
    for port in 5000..5003 {
        gateway.out("udp", HOST, port, "len=9");
    }
    let taken = gateway.taken(TCP);
    assert_eq!(taken, [0, 80], "where a route listens");
    // As an eviction, or a lost update, leaves them.
    let wrong = Source {
        moved: 4_000_000,
        ..Source::default()
    };
    let maps = &mut gateway.kernel.parts().0.maps;
    maps.subscribers
        .insert(HOST.octets(), wrong, 0)
        .expect("SUBSCRIBERS");
    gateway.set_bit(UDP, 6000, true);
    gateway.set_bit(UDP, 5001, false);
    gateway.set_bit(TCP, 80, false);
    let first = gateway.pass();
    assert_eq!(first.mappings.corrections, 4);
    assert_eq!(gateway.held(HOST), 3);
    assert_eq!(gateway.taken(UDP), [0, 5000, 5001, 5002]);
    assert_eq!(gateway.taken(TCP), taken);
    assert_eq!(
        gateway.pass().mappings.corrections,
        0,
        "right is left alone"
    );
}

#[test]
fn the_log_is_told_of_beginnings_and_the_sweep_knows_what_lives() {
    let mut gateway = Gateway::new();
    gateway.out("udp", HOST, 5000, "len=9");
    gateway.out("udp", HOST, 5000, "len=9");
    gateway.out("udp", HOST, 5001, "len=9");
    let begins = Mapped::<V4>::BEGINS;
    assert_eq!(gateway.told(), [(5000, begins), (5001, begins)]);
    let live = gateway.pass().mappings.live;
    assert_eq!(live.len(), 2);
    assert!(live.iter().all(|(inside, outside)| {
        inside.address == HOST.octets() && inside.port == outside.port
    }));
}
