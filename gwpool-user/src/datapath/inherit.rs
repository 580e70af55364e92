//! What the kernel has translated until now goes on: its connections become flows and mappings, with the ports they have,
//! before the first packet meets a program. Only at the first start: later the maps know better.
//!
//! A connection of an inside host becomes an established flow. One of a container, which the kernel itself goes on to
//! translate, becomes a mapping of the NAT address to itself: the port is taken, and what comes for it is the kernel's.

use super::error::Error;
use super::loader::Datapath;
use crate::host::conntrack::Connection;
use aya::maps::MapError;
use gwpool_common::flow::{Flow, FlowKey};
use gwpool_common::nat::{End, Mapping, Nat};
use gwpool_common::net::{Network, V4};
use gwpool_ebpf::family::{Family as _, Ipv4};
use gwpool_ebpf::mapping::address_place;
use gwpool_ebpf::pair;
use std::io;

/// bpf(2), BPF_NOEXIST: what is there stays.
const NEW: u64 = 1;

/// What was inherited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Flows of inside hosts.
    pub flows: usize,
    /// Connections that the kernel goes on to translate.
    pub kept: usize,
}

impl Datapath {
    /// Enters these connections. `flows`: as many as there may be.
    pub fn inherit(
        &mut self,
        connections: &[Connection],
        nat: &Nat<V4>,
        networks: &[Network<V4>],
        flows: u32,
    ) -> Result<Inherited, Error> {
        let most = 2 * u64::from(flows);
        let now = self.tick()?;
        let mut inherited = Inherited::default();
        for connection in connections {
            if address_place::<Ipv4>(nat, connection.outside.0.octets()).is_none() {
                continue;
            }
            let inside = connection.inside.0.octets();
            let behind = networks.iter().any(|network| {
                network.interface == nat.inside
                    && Ipv4::within(inside, network.prefix, network.mask)
            });
            if behind {
                self.enter(connection, connection.inside, now)?;
                let (key, flow) = flow(connection, now);
                let (back, answer) = pair::backend_side(&key, &flow);
                let tier = &self.flows.established;
                if !(tier.insert(&back, &answer, most)? && tier.insert(&key, &flow, most)?) {
                    let full = io::Error::from(io::ErrorKind::StorageFull);
                    return Err(failed("ESTABLISHED", MapError::IoError(full)));
                }
                inherited.flows += 1;
            } else {
                self.enter(connection, connection.outside, now)?;
                inherited.kept += 1;
            }
        }
        Ok(inherited)
    }

    /// The mapping of `inside` to what the outside sees.
    fn enter(
        &mut self,
        connection: &Connection,
        inside: (std::net::Ipv4Addr, u16),
        now: u16,
    ) -> Result<(), Error> {
        let end = |(address, port): (std::net::Ipv4Addr, u16), side| End {
            address: address.octets(),
            port: port.to_be_bytes(),
            protocol: connection.protocol,
            side,
        };
        let inside = end(inside, End::<V4>::INSIDE);
        let outside = end(connection.outside, End::<V4>::OUTSIDE);
        let other = |end: End<V4>| Mapping {
            address: end.address,
            port: end.port,
            seen: now,
        };
        let mappings = &mut self.maps.mappings;
        there("MAPPINGS", mappings.insert(outside, other(inside), NEW))?;
        there("MAPPINGS", mappings.insert(inside, other(outside), NEW))
    }
}

fn flow(connection: &Connection, now: u16) -> (FlowKey<V4>, Flow<V4>) {
    let end = |(address, port): (std::net::Ipv4Addr, u16)| (address.octets(), port.to_be_bytes());
    let (inside, remote) = (end(connection.inside), end(connection.remote));
    let key = FlowKey {
        source: inside.0,
        destination: remote.0,
        source_port: inside.1,
        destination_port: remote.1,
        protocol: connection.protocol,
        pad: [0; 3],
    };
    let flow = Flow {
        rewrite: pair::rewrite::<Ipv4>(&key, end(connection.outside), remote),
        flags: Flow::<V4>::NAT,
        seen: now,
        ..Flow::default()
    };
    (key, flow)
}

/// Who is in the map already, is; a full map is said.
fn there(map: &'static str, result: Result<(), MapError>) -> Result<(), Error> {
    match result {
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::EEXIST) =>
        {
            Ok(())
        }
        result => result.map_err(|source| failed(map, source)),
    }
}

fn failed(map: &'static str, source: MapError) -> Error {
    Error::Map {
        map,
        what: "cannot enter what the kernel has translated".to_owned(),
        source,
    }
}
