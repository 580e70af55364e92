//! Seeded packets for the differential run: few clients, few ports, so that flows meet, end and begin again.
//!
//! Half of them continue what the tables hold, so that answers, proofs and closings occur; one in seven is cut short,
//! one in seven has a bit flipped.

use crate::bed::{BOX_NETWORK, GATEWAY_NETWORK};
use crate::frames::Frame;
use crate::subject::{Hook, State};
use anyhow::Result;
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::net::V4;
use std::net::Ipv4Addr;

/// A source of numbers that the seed decides.
pub struct Random(u64);

impl Random {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `bound` (xorshift64*).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A packet, and where it is met.
pub struct Met {
    /// The program's hook.
    pub hook: Hook,
    /// The interface.
    pub interface: u32,
    /// The bytes.
    pub frame: Vec<u8>,
}

/// The next packet: one that continues a flow of `state`, or one out of the blue.
pub fn packet(random: &mut Random, state: &State, ingress: Hook) -> Result<Met> {
    let key = if random.below(2) == 0 {
        known(random, state)
    } else {
        None
    };
    let (hook, interface, text) = match key {
        Some((key, flow)) if random.below(8) == 0 => quoted(random, &key, &flow, ingress),
        Some((key, flow)) => continued(random, state, &key, &flow, ingress),
        None => blue(random, ingress),
    };
    let mut frame = Frame::parse(&text)?.bytes();
    // The kernel's test run takes no IPv4 skb without its whole IP header.
    const SHORTEST: usize = 34;
    match random.below(7) {
        0 => frame.truncate(SHORTEST + random.below((frame.len() - SHORTEST) as u64 + 1) as usize),
        1 => {
            let place = random.below(frame.len() as u64) as usize;
            frame[place] ^= 1 << random.below(8);
        }
        _ => {}
    }
    Ok(Met {
        hook,
        interface,
        frame,
    })
}

fn known(random: &mut Random, state: &State) -> Option<(FlowKey<V4>, Flow<V4>)> {
    let established = state.established.iter().map(|(key, flow)| (*key, *flow));
    let embryonic = state
        .embryonic
        .iter()
        .map(|(key, embryo)| (*key, embryo.flow));
    let all: Vec<_> = established.chain(embryonic).collect();
    if all.is_empty() {
        None
    } else {
        Some(random.one(&all))
    }
}

/// A packet of a known flow, in the direction of this entry; often the very proof it waits for.
fn continued(
    random: &mut Random,
    state: &State,
    key: &FlowKey<V4>,
    flow: &Flow<V4>,
    ingress: Hook,
) -> (Hook, u32, String) {
    let from_backend = flow.flags & Flow::<V4>::BACKEND_SIDE != 0;
    let local = flow.flags & Flow::<V4>::LOCAL != 0;
    // A translated flow's "backend" is outside.
    let nat = flow.flags & Flow::<V4>::NAT != 0;
    let hook = if from_backend != nat && local && random.below(8) != 0 {
        Hook::Egress
    } else {
        ingress
    };
    let interface = if from_backend != nat && !local {
        BOX_NETWORK
    } else {
        GATEWAY_NETWORK
    };
    let mate = gwpool_ebpf::pair::mate(key.protocol, &flow.rewrite);
    let proof = state.embryonic.get(&mate).map_or(0, |embryo| embryo.proof);
    let ack = if random.below(4) == 0 { 7 } else { proof };
    let flags = match (from_backend, random.below(8)) {
        (true, 0..4) => "SA",
        (false, 0..4) => "A",
        (_, 4) => "FA",
        (_, 5) => "R",
        (_, 6) => "S",
        _ => "PA",
    };
    let text = describe(random, key, flags, ack);
    (hook, interface, text)
}

/// An ICMP error that quotes what was sent by this entry's rewrite: from the other side of the flow.
fn quoted(
    random: &mut Random,
    key: &FlowKey<V4>,
    flow: &Flow<V4>,
    ingress: Hook,
) -> (Hook, u32, String) {
    let from_backend = flow.flags & Flow::<V4>::BACKEND_SIDE != 0;
    let local = flow.flags & Flow::<V4>::LOCAL != 0;
    let nat = flow.flags & Flow::<V4>::NAT != 0;
    let hook = if local && from_backend == nat && random.below(4) != 0 {
        Hook::Egress
    } else {
        ingress
    };
    let interface = if from_backend != nat || local {
        GATEWAY_NETWORK
    } else {
        BOX_NETWORK
    };
    let (source, destination) = (flow.rewrite.source, flow.rewrite.destination);
    let sent = FlowKey {
        source,
        destination,
        source_port: flow.rewrite.source_port,
        destination_port: flow.rewrite.destination_port,
        ..*key
    };
    let sender = random.one(&[
        Ipv4Addr::from(destination),
        Ipv4Addr::new(10, 9, 0, 254),
        Ipv4Addr::new(192, 168, 1, 3),
    ]);
    let kind = random.one(&["3/3", "3/4", "11/0", "12/0", "5/1", "8/0"]);
    let (quote, mtu, ttl) = (
        random.one(&[20, 28, 40, 60, 200]),
        random.one(&[0, 575, 576, 1400]),
        random.one(&[1, 64]),
    );
    let inner = describe(random, &sent, "A", 7);
    let outer = format!("{sender} > {}", Ipv4Addr::from(source));
    (
        hook,
        interface,
        format!("error {kind} {outer} quote={quote} mtu={mtu} ttl={ttl} quoting {inner}"),
    )
}

fn describe(random: &mut Random, key: &FlowKey<V4>, flags: &str, ack: u32) -> String {
    let ends = format!(
        "{}:{} > {}:{}",
        Ipv4Addr::from(key.source),
        u16::from_be_bytes(key.source_port),
        Ipv4Addr::from(key.destination),
        u16::from_be_bytes(key.destination_port),
    );
    let (length, ttl) = (random.below(50), random.one(&[1, 2, 64, 255]));
    let part = part(random);
    match key.protocol {
        6 => format!(
            "tcp {ends} {flags} seq={} ack={ack} len={length} ttl={ttl} {part}",
            random.below(1 << 20)
        ),
        1 if flow_asks(key) => format!("ping {} len={length} ttl={ttl} {part}", asks(key)),
        1 => format!("pong {} len={length} ttl={ttl} {part}", asks(key)),
        17 => format!(
            "udp {ends} len={length} ttl={ttl} nosum={} {part}",
            random.below(2)
        ),
        other => format!(
            "ip {} protocol={other} len={length} ttl={ttl} {part}",
            asks(key)
        ),
    }
}

/// It is the side whose port is the identifier.
fn flow_asks(key: &FlowKey<V4>) -> bool {
    key.destination_port == [0; 2]
}

fn asks(key: &FlowKey<V4>) -> String {
    let id = |port: [u8; 2]| match u16::from_be_bytes(port) {
        0 => String::new(),
        id => format!(":{id}"),
    };
    format!(
        "{}{} > {}{}",
        Ipv4Addr::from(key.source),
        id(key.source_port),
        Ipv4Addr::from(key.destination),
        id(key.destination_port),
    )
}

/// One packet in four is a fragment of one of a few: tiny, first, middle or last.
fn part(random: &mut Random) -> String {
    if random.below(4) != 0 {
        return String::new();
    }
    let part = random.one(&["0-8", "0-24", "0-24", "24-32", "24-100"]);
    format!("id={} part={part}", random.below(2))
}

/// A packet out of the blue, on the ports that the worlds listen on and on others.
fn blue(random: &mut Random, ingress: Hook) -> (Hook, u32, String) {
    let hook = if random.below(10) == 0 {
        Hook::Egress
    } else {
        ingress
    };
    let source = random.one(&[
        "10.9.0.100",
        "10.9.0.100",
        "10.9.0.101",
        "10.9.0.102",
        "172.16.5.5",
        "192.168.1.2",
        "192.168.1.2",
        "192.168.1.3",
        "192.168.1.77",
        "10.9.0.1",
    ]);
    let destination = random.one(&[
        "10.9.0.1",
        "10.9.0.1",
        "10.9.0.1",
        "192.168.1.1",
        "10.9.0.55",
        "10.9.0.100",
        "8.8.8.8",
    ]);
    let port = random.one(&[
        80, 81, 82, 83, 84, 85, 86, 53, 8000, 8005, 8443, 30443, 30080, 30085, 22,
    ]);
    let client = random.one(&[2000, 2001, 2002, 40000, 40001, 65000]);
    let inside = source.starts_with("192.168.1.");
    let interface = if inside != (random.below(4) == 0) {
        BOX_NETWORK
    } else {
        GATEWAY_NETWORK
    };
    let (options, length, ttl) = (random.below(3), random.below(100), random.one(&[1, 64]));
    let common = format!(
        "len={length} ttl={ttl} options={options} frag={} {}",
        random.one(&[0, 0, 0x4000]),
        part(random)
    );
    let text = if random.below(12) == 0 {
        let kind = random.one(&["ping", "ip"]);
        format!("{kind} {source}:{client} > {destination} {common}")
    } else if random.below(3) == 0 {
        format!("udp {source}:{client} > {destination}:{port} {common}")
    } else {
        let flags = random.one(&["S", "S", "S", "A", "SA", "R", "FA"]);
        format!("tcp {source}:{client} > {destination}:{port} {flags} {common}")
    };
    (hook, interface, text)
}
