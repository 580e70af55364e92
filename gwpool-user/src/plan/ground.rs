//! What a plan needs of its host, and what becomes of that in the maps: settings, interfaces, guarded prefixes,
//! addresses, translation, and our own address towards backends.
#![forbid(unsafe_code)]

use super::changes::{Changes, Entries};
use super::error::Error;
use super::image::Image;
use super::plan::{self, Plan};
use super::{settings, translation};
use crate::host::{Host, Link};
use gwpool_common::limits;
use gwpool_common::net::{Address, Interface, Network, V4};
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The plan's networks by name, with the links that carry them.
pub type Links<'a> = BTreeMap<&'a str, &'a Link>;

/// Everything but routes and what hangs on them.
pub fn changes(
    installed: &Image,
    plan: &Plan,
    host: &Host,
    links: &Links,
) -> Result<Changes, Error> {
    let addresses = addresses(plan, host, links)?;
    let settings = settings::wanted(&installed.settings, plan, host, links, &addresses)?;
    let nat = translation::wanted(&installed.nat, plan, host, links)?;
    let interfaces = links
        .values()
        .map(|link| (link.index, interface(link)))
        .collect();
    Ok(Changes {
        settings: (settings != installed.settings).then_some(settings),
        nat: (nat != installed.nat).then_some(nat),
        interfaces: Entries::between(&installed.interfaces, interfaces),
        networks: moved(&installed.networks, &networks(installed, plan, links)?),
        addresses: Entries::between(&installed.addresses, addresses),
        ..Changes::default()
    })
}

/// The plan's networks and the links that carry them.
pub fn links<'a>(plan: &'a Plan, host: &'a Host) -> Result<Links<'a>, Error> {
    let find = |network: &'a plan::Network| match host.links.get(&network.interface) {
        Some(link) => Ok((network.name.as_str(), link)),
        None => Err(Error::NoInterface {
            network: network.name.clone(),
            interface: network.interface.clone(),
            existing: host
                .links
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    };
    plan.networks.iter().map(find).collect()
}

/// The link of one network, which `user` names.
pub fn link<'a>(links: &Links<'a>, network: &str, user: &str) -> Result<&'a Link, Error> {
    links
        .get(network)
        .copied()
        .ok_or_else(|| Error::UnknownNetwork {
            user: user.to_owned(),
            network: network.to_owned(),
        })
}

fn interface(link: &Link) -> Interface {
    Interface {
        flags: match (link.carries_xdp, link.driver.as_str()) {
            (false, _) => 0,
            (true, "veth") => Interface::XDP | Interface::SLEEPS,
            (true, _) => Interface::XDP,
        },
    }
}

/// The prefixes behind inner networks. Entries that stay keep their order, so that writing from the front never leaves
/// one of them out for a moment.
fn networks(installed: &Image, plan: &Plan, links: &Links) -> Result<Vec<Network<V4>>, Error> {
    let mut behind: Vec<(u32, Ipv4Net)> = Vec::new();
    for network in plan.networks.iter().filter(|network| network.inner) {
        let link = link(links, &network.name, "the plan")?;
        let prefixes = prefixes(installed, plan, network, link);
        behind.extend(prefixes.into_iter().map(|prefix| (link.index, prefix)));
    }
    // The programs walk the list: a prefix inside another one of its interface says nothing (a VIP's own /32).
    let wider = |(index, prefix): &(u32, Ipv4Net)| {
        let mut all = behind.iter();
        all.any(|(other, wide)| other == index && wide != prefix && wide.contains(prefix))
    };
    let mut wanted = Vec::new();
    for (interface, prefix) in behind.iter().filter(|known| !wider(known)) {
        let guarded = Network {
            prefix: prefix.network().octets(),
            mask: prefix.netmask().octets(),
            interface: *interface,
        };
        if !wanted.contains(&guarded) {
            wanted.push(guarded);
        }
    }
    if wanted.len() > limits::NETWORKS as usize {
        let key = "the number of prefixes on inner networks is fixed";
        return Err(Error::Full {
            table: "NETWORKS",
            limit: limits::NETWORKS,
            key,
        });
    }
    let mut networks = installed.networks.clone();
    networks.retain(|network| wanted.contains(network));
    wanted.retain(|network| !networks.contains(network));
    networks.append(&mut wanted);
    Ok(networks)
}

/// Those that the link is connected to, and `nat.sources`. While it has no address of its own, those that were known
/// stay: what is on its way is guarded all the same.
fn prefixes(
    installed: &Image,
    plan: &Plan,
    network: &plan::Network,
    link: &Link,
) -> BTreeSet<Ipv4Net> {
    let mut prefixes: BTreeSet<Ipv4Net> = link.addresses.iter().map(Ipv4Net::trunc).collect();
    if own(network, link).is_none() {
        let known = installed.networks.iter();
        let known = known.filter(|known| known.interface == link.index);
        prefixes.extend(known.filter_map(|known| {
            Ipv4Net::with_netmask(known.prefix.into(), known.mask.into()).ok()
        }));
    }
    let nat = plan.nat.iter().filter(|nat| nat.inside == network.name);
    prefixes.extend(nat.flat_map(|nat| nat.sources.iter().copied()));
    prefixes
}

/// From the front; then the entries that are over, from the back, so that the list ends where it should throughout.
fn moved(from: &[Network<V4>], to: &[Network<V4>]) -> Vec<(u32, Network<V4>)> {
    let written = (0..)
        .zip(to)
        .filter(|(index, network)| from.get(*index as usize) != Some(network))
        .map(|(index, network)| (index, *network));
    let over = (to.len()..from.len()).rev();
    written
        .chain(over.map(|index| (index as u32, Network::default())))
        .collect()
}

/// Own addresses of every interface, the peers' first, so that what is ours counts as ours; those of managed ones are what `*` stands for.
fn addresses(plan: &Plan, host: &Host, links: &Links) -> Result<Vec<(V4, Address)>, Error> {
    let mut addresses = Vec::new();
    for peer in &plan.peers {
        let interface = link(links, &peer.network, &peer.name)?.index;
        addresses.push((
            peer.address.octets(),
            Address {
                flags: Address::PEER,
                interface,
            },
        ));
    }
    let managed: BTreeSet<u32> = links.values().map(|link| link.index).collect();
    // Managed links last: an address that two links hold counts as the managed one's.
    let mut holders: Vec<&Link> = host.links.values().collect();
    holders.sort_by_key(|link| (managed.contains(&link.index), link.index));
    for link in holders {
        for held in &link.addresses {
            let listens = managed.contains(&link.index) && !held.addr().is_loopback();
            let flags = Address::OWN | if listens { Address::LISTEN } else { 0 };
            addresses.push((
                held.addr().octets(),
                Address {
                    flags,
                    interface: link.index,
                },
            ));
        }
    }
    Ok(addresses)
}

/// This node's own address on a network: the one that the inventory gives it, if the link has it, else the link's first
/// that is no VIP.
pub fn own(network: &plan::Network, link: &Link) -> Option<Ipv4Addr> {
    let held = || link.addresses.iter().map(Ipv4Net::addr);
    let given = network
        .address
        .filter(|given| held().any(|held| held == *given));
    given.or_else(|| held().find(|held| !network.vips.contains(held)))
}

/// The same on a destination network, where the one that is given must be the one that is held: what full NAT gives as
/// source, and where we are as backend.
pub fn source(plan: &Plan, links: &Links, network: &str, user: &str) -> Result<Ipv4Addr, Error> {
    let link = link(links, network, user)?;
    let declared = plan.network(network).ok_or_else(|| Error::UnknownNetwork {
        user: user.to_owned(),
        network: network.to_owned(),
    })?;
    let (network, interface) = (declared.name.clone(), declared.interface.clone());
    match (declared.address, own(declared, link)) {
        (_, None) => Err(Error::NoAddress { network, interface }),
        (Some(wanted), Some(found)) if found != wanted => Err(Error::AddressNotHeld {
            network,
            interface,
            wanted,
            held: link
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }),
        (_, Some(own)) => Ok(own),
    }
}
