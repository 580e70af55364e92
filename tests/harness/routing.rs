//! The model's routing: the connected prefixes and default gateways of a host, and the neighbours listed there.

use gwpool_common::net::{Interface, NextHop, V4};
use gwpool_common::reason::Reason;
use gwpool_ebpf::world::Way;
use gwpool_user::host::Host;
use gwpool_user::host::machine::Path;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The way to a destination, and the MTU of its interface.
///
/// # Errors
/// [`Reason::NoRoute`].
pub fn to(
    host: &Host,
    interfaces: &BTreeMap<u32, Interface>,
    destination: Ipv4Addr,
) -> Result<(Way<V4>, u32), Reason> {
    let connected = host.links.values().find(|link| {
        link.addresses
            .iter()
            .any(|network| network.contains(&destination))
    });
    let nowhere = |path: &Path| path.interface == 0 && path.destination.contains(&destination);
    if host.routes.iter().any(nowhere) {
        return Err(Reason::NoRoute);
    }
    let (link, gateway) = match connected {
        // What is ours is delivered here, what is everybody's is broadcast: neither is forwarded.
        Some(link)
            if link
                .addresses
                .iter()
                .any(|own| not_forwarded(own, destination)) =>
        {
            return Err(Reason::NoRoute);
        }
        Some(link) => (link, destination),
        None => {
            let (interface, gateway) = host.gateways().next().ok_or(Reason::NoRoute)?;
            (
                host.link_by_index(interface).ok_or(Reason::NoRoute)?.1,
                gateway,
            )
        }
    };
    let Some(neighbour) = host.neighbours.get(&(link.index, gateway)) else {
        let way = Way::Unresolved {
            interface: link.index,
            gateway: gateway.octets(),
        };
        return Ok((way, link.mtu));
    };
    let out = interfaces.get(&link.index).copied().unwrap_or_default();
    let flags = match out.flags {
        0 => NextHop::TC_ONLY,
        flags if flags & Interface::SLEEPS != 0 => NextHop::SLEEPS,
        _ => 0,
    };
    let hop = NextHop {
        state: NextHop::VALID,
        epoch: 0,
        interface: link.index,
        destination: neighbour.mac,
        source: link.mac,
        mtu: link.mtu as u16,
        flags,
    };
    Ok((Way::Known(hop), link.mtu))
}

fn not_forwarded(own: &ipnet::Ipv4Net, destination: Ipv4Addr) -> bool {
    [own.addr(), own.network(), own.broadcast()].contains(&destination)
}
