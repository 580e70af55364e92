//! What a plan needs of its host, and what becomes of that in the maps: settings, interfaces, guarded prefixes,
//! addresses, and our own address towards backends.
#![forbid(unsafe_code)]

use super::changes::{Changes, Entries};
use super::error::Error;
use super::image::Image;
use super::plan::{self, Plan};
use super::settings;
use crate::host::{Host, Link};
use gwpool_common::limits;
use gwpool_common::net::{Address, Interface, Network, V4};
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
    let settings = settings::wanted(&installed.settings, plan, host, links)?;
    let interfaces = links
        .values()
        .map(|link| (link.index, interface(link)))
        .collect();
    Ok(Changes {
        settings: (settings != installed.settings).then_some(settings),
        interfaces: Entries::between(&installed.interfaces, interfaces),
        networks: moved(&installed.networks, &networks(installed, plan, links)?),
        addresses: Entries::between(&installed.addresses, addresses(plan, host, links)?),
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
        flags: if link.carries_xdp { Interface::XDP } else { 0 },
    }
}

/// The connected prefixes of inner networks. Entries that stay keep their order, so that writing from the front
/// never leaves one of them out for a moment.
fn networks(installed: &Image, plan: &Plan, links: &Links) -> Result<Vec<Network<V4>>, Error> {
    let mut wanted = Vec::new();
    for network in plan.networks.iter().filter(|network| network.inner) {
        let link = link(links, &network.name, "the plan")?;
        for prefix in &link.addresses {
            let guarded = Network {
                prefix: prefix.network().octets(),
                mask: prefix.netmask().octets(),
                interface: link.index,
            };
            if !wanted.contains(&guarded) {
                wanted.push(guarded);
            }
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

/// Our own address on a destination network: what full NAT gives as source, and where we are as backend.
pub fn source(plan: &Plan, links: &Links, network: &str, user: &str) -> Result<Ipv4Addr, Error> {
    let link = link(links, network, user)?;
    let declared = plan.networks.iter().find(|known| known.name == network);
    let declared = declared.ok_or_else(|| Error::UnknownNetwork {
        user: user.to_owned(),
        network: network.to_owned(),
    })?;
    let (network, interface) = (declared.name.clone(), declared.interface.clone());
    match (declared.address, link.addresses.first()) {
        (_, None) => Err(Error::NoAddress { network, interface }),
        (None, Some(first)) => Ok(first.addr()),
        (Some(wanted), _) if link.addresses.iter().any(|held| held.addr() == wanted) => Ok(wanted),
        (Some(wanted), _) => {
            let held = link
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            Err(Error::AddressNotHeld {
                network,
                interface,
                wanted,
                held,
            })
        }
    }
}
