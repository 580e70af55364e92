//! Netlink and `/proc`, in: pictures of the host, and word of changes. Managed neighbours, out.
//!
//! A change is only a reason to take the whole picture again: nothing is patched, so nothing can drift. What changes
//! mean is for [`super::machine`].

use super::machine::{Host, Link, Neighbour};
use super::netlink;
use futures_util::stream::{Stream, StreamExt as _, TryStreamExt as _};
use nix::time::{ClockId, clock_getres};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourState,
};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Changes come in bursts (an interface that goes takes its routes along): one picture for all of them.
const BURST: Duration = Duration::from_millis(50);

/// What can go wrong between the daemon and the host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The netlink socket cannot be made.
    #[error("cannot open a netlink socket")]
    Connect(#[source] io::Error),
    /// A table cannot be read.
    #[error("cannot read the host's {table} by netlink")]
    Dump {
        /// Which.
        table: &'static str,
        /// Why.
        #[source]
        source: rtnetlink::Error,
    },
    /// A file of `/proc/sys` cannot be read or understood.
    #[error("cannot read {path}")]
    Setting {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel has closed the socket.
    #[error("the netlink socket is closed")]
    Closed,
}

type Messages = Pin<Box<dyn Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Send>>;

/// A netlink socket and what was last seen by it.
pub struct Driver {
    handle: Handle,
    messages: Messages,
    /// When the burst that has begun is taken as over.
    burst_ends: Option<Instant>,
    neighbours: BTreeMap<(u32, Ipv4Addr), Neighbour>,
    managed: BTreeSet<(u32, Ipv4Addr)>,
    manages: bool,
    port_seed: u32,
}

impl Driver {
    /// Subscribes. Its socket is served by a task of the runtime that this is called in.
    pub fn connect() -> Result<Self, Error> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Neigh,
        ];
        let connection = rtnetlink::new_multicast_connection(&groups).map_err(Error::Connect)?;
        let (connection, handle, messages) = connection;
        tokio::spawn(connection);
        Ok(Driver {
            handle,
            messages: Box::pin(messages.map(|(message, _)| message)),
            burst_ends: None,
            neighbours: BTreeMap::new(),
            managed: BTreeSet::new(),
            manages: true,
            port_seed: random(),
        })
    }

    /// Returns when something has changed that a new picture would show. Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Result<(), Error> {
        loop {
            let Some(ends) = self.burst_ends else {
                let message = self.messages.next().await.ok_or(Error::Closed)?;
                if self.concerns(&message.payload) {
                    self.burst_ends = Some(Instant::now() + BURST);
                }
                continue;
            };
            match timeout_at(ends, self.messages.next()).await {
                Ok(Some(message)) => drop(self.concerns(&message.payload)),
                Ok(None) => return Err(Error::Closed),
                Err(_) => {
                    self.burst_ends = None;
                    return Ok(());
                }
            }
        }
    }

    /// Neighbours change their state all the time; only a new Ethernet address is news, or the loss of a managed one.
    fn concerns(&mut self, payload: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
        match payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(message)) => {
                netlink::neighbour(message).is_some_and(|(key, neighbour)| {
                    self.neighbours
                        .get(&key)
                        .is_some_and(|known| known.mac != neighbour.mac)
                })
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelNeighbour(message)) => {
                netlink::neighbour_key(message).is_some_and(|key| self.managed.remove(&key))
            }
            NetlinkPayload::InnerMessage(_) | NetlinkPayload::Overrun(_) => true,
            _ => false,
        }
    }

    /// The host as it is now.
    pub async fn picture(&mut self) -> Result<Host, Error> {
        let links = self.links().await?;
        let mut every = RouteMessage::default();
        every.header.address_family = AddressFamily::Inet;
        let messages = dumped("routes", self.handle.route().get(every).execute()).await?;
        let routes = messages.iter().flat_map(netlink::paths).collect();
        let every = self
            .handle
            .neighbours()
            .get()
            .set_address_family(AddressFamily::Inet);
        let messages = dumped("neighbours", every.execute()).await?;
        self.neighbours = messages.iter().filter_map(netlink::neighbour).collect();
        Ok(Host {
            links,
            local_ports: local_ports()?,
            routes,
            neighbours: self.neighbours.clone(),
            hz: hz(),
            port_seed: self.port_seed,
            epoch: 0,
        })
    }

    async fn links(&self) -> Result<BTreeMap<String, Link>, Error> {
        let mut links: BTreeMap<String, Link> = BTreeMap::new();
        for message in &dumped("links", self.handle.link().get().execute()).await? {
            let (name, mut link) = netlink::link(message);
            if link.driver.is_empty() {
                link.driver = sysfs_driver(&name, link.index);
            }
            link.forwarding = setting(&format!("/proc/sys/net/ipv4/conf/{name}/forwarding"))
                .is_ok_and(|text| text.trim() == "1");
            links.insert(name, link);
        }
        let messages = dumped("addresses", self.handle.address().get().execute()).await?;
        for (index, address) in messages.iter().filter_map(netlink::address) {
            if let Some(link) = links.values_mut().find(|link| link.index == index) {
                link.addresses.push(address);
            }
        }
        Ok(links)
    }

    /// Has the kernel keep these neighbours resolved, and no longer those of an earlier call that are not among them.
    pub async fn manage(&mut self, wanted: &BTreeSet<(u32, Ipv4Addr)>) {
        if !self.manages {
            return;
        }
        for key in self.managed.clone().difference(wanted) {
            self.managed.remove(key);
            // Its interface may be gone, and the neighbour with it.
            let _ = self.add_neighbour(*key, false).await;
        }
        let new: Vec<_> = wanted.difference(&self.managed).copied().collect();
        for key in new {
            match self.add_neighbour(key, true).await {
                Ok(()) => drop(self.managed.insert(key)),
                Err(rtnetlink::Error::NetlinkError(error))
                    if is_unknown_to_kernel(&error.to_io()) =>
                {
                    tracing::warn!(
                        "the kernel keeps no managed neighbours (it takes Linux 5.16): the first packet towards a \
                         backend may wait for ARP"
                    );
                    self.manages = false;
                    return;
                }
                Err(error) => {
                    tracing::warn!("cannot keep the neighbour {} resolved: {error}", key.1)
                }
            }
        }
    }

    /// As `ip neigh replace ADDRESS dev DEVICE managed` does; without the flag it is let go.
    async fn add_neighbour(
        &self,
        key: (u32, Ipv4Addr),
        managed: bool,
    ) -> Result<(), rtnetlink::Error> {
        let request = self
            .handle
            .neighbours()
            .add(key.0, IpAddr::V4(key.1))
            .replace();
        let mut request = request
            .state(NeighbourState::None)
            .flags(NeighbourFlags::Use);
        let flags = if managed {
            NeighbourExtFlags::Managed
        } else {
            NeighbourExtFlags::empty()
        };
        request
            .message_mut()
            .attributes
            .push(NeighbourAttribute::ExtFlags(flags));
        request.execute().await
    }
}

async fn dumped<M>(
    table: &'static str,
    messages: impl Stream<Item = Result<M, rtnetlink::Error>>,
) -> Result<Vec<M>, Error> {
    messages
        .try_collect()
        .await
        .map_err(|source| Error::Dump { table, source })
}

fn is_unknown_to_kernel(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP))
}

/// The driver's name, if `/sys` shows this network namespace's interfaces and not another's.
fn sysfs_driver(name: &str, index: u32) -> String {
    let folder = format!("/sys/class/net/{name}");
    let ours = fs::read_to_string(format!("{folder}/ifindex"));
    if !ours.is_ok_and(|text| text.trim() == index.to_string()) {
        return String::new();
    }
    let driver = fs::read_link(format!("{folder}/device/driver")).ok();
    let name = driver.as_deref().and_then(std::path::Path::file_name);
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn setting(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Setting {
        path: path.to_owned(),
        source,
    })
}

fn local_ports() -> Result<(u16, u16), Error> {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let text = setting(path)?;
    let mut ports = text.split_whitespace().map(str::parse::<u16>);
    match (ports.next(), ports.next()) {
        (Some(Ok(low)), Some(Ok(high))) => Ok((low, high)),
        _ => Err(Error::Setting {
            path: path.to_owned(),
            source: io::ErrorKind::InvalidData.into(),
        }),
    }
}

/// The coarse clock moves once a timer tick.
fn hz() -> u32 {
    let Ok(step) = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE) else {
        return 0;
    };
    let step_ns = Duration::from(step).as_nanos();
    let hz = (1_000_000_000 + step_ns / 2).checked_div(step_ns);
    hz.and_then(|hz| u32::try_from(hz).ok()).unwrap_or(0)
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    // Without it ports can be guessed, and everything else works.
    read.map_or(1, |()| u32::from_ne_bytes(bytes).max(1))
}
