//! Who translates, and by which settings: gwpool by an inventory, nftables by a masquerade rule and the sysctls of
//! connection tracking. A setting that nftables has no word for is not asked of it.

use super::ground::{BOX, Ground, OWN, VIP};
use super::timers;
use crate::net::fabric::Datapath;
use crate::net::namespace::{Namespace, output};
use crate::net::world;
use anyhow::{Context, Result, ensure};
use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use gwpool_common::nat::{End, Mapping};
use gwpool_common::net::V4;
use gwpool_user::datapath::pins::Pins;
use gwpool_user::datapath::sets::Sets;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

/// Who translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// gwpool, attached so.
    Gwpool(Datapath),
    /// nftables masquerade.
    Nftables,
}

/// By which settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// What one gets without saying anything; gwpool has a VIP outside.
    Plain,
    /// Timers divided by [`timers`]' divisors, and mappings logged.
    Hurried,
    /// The NAT address is the gateway's own.
    Own,
    /// These outside ports only.
    Ports(u16, u16),
    /// The same, shared where none is free.
    Overload(u16, u16),
    /// The VIP outside is another host's now.
    Standby,
    /// Two outside addresses.
    Pair,
    /// `ports_per_host` of this many.
    Share(u16),
    /// `filtering` for all protocols.
    Filtering(&'static str),
    /// One inside host is denied.
    Denied(Ipv4Addr),
}

/// The two outside addresses of [`Setting::Pair`].
pub const POOL: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 9, 0, 200), Ipv4Addr::new(10, 9, 0, 201)];

impl Subject {
    /// Its name in the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Gwpool(datapath) => datapath.name(),
            Subject::Nftables => "nftables",
        }
    }

    /// What the cables are made for.
    pub fn datapath(self) -> Datapath {
        match self {
            Subject::Gwpool(datapath) => datapath,
            Subject::Nftables => Datapath::Native,
        }
    }

    /// Whether it has that setting.
    pub fn has(self, setting: Setting) -> bool {
        let ours = [Setting::Plain, Setting::Hurried, Setting::Own];
        self != Subject::Nftables
            || ours.contains(&setting)
            || matches!(setting, Setting::Ports(..))
    }
}

impl Ground {
    /// The address that inside hosts are seen as.
    pub fn x(&self) -> Ipv4Addr {
        match (self.subject, self.setting) {
            (Subject::Nftables, _) | (_, Setting::Own) => OWN,
            (_, Setting::Pair) => POOL[0],
            _ => VIP,
        }
    }

    /// From now on by these settings, and without a memory of what was before.
    pub fn apply(&mut self, setting: Setting) -> Result<()> {
        self.setting = setting;
        match self.subject {
            Subject::Nftables => self.masquerade(setting),
            Subject::Gwpool(datapath) => self.restart(datapath, setting),
        }
    }

    /// The tables of connections are emptied under whoever uses them, as they are on a gateway that has just taken over.
    pub fn forget(&self) -> Result<()> {
        if self.subject == Subject::Nftables {
            return forget_connections(self.gw());
        }
        let pins = Pins::new(&self.gateway.pin_dir());
        let (settings, entries) = (array(&pins, "SETTINGS")?, array(&pins, "ENTRIES")?);
        let tier = |tags: &'static str, ways: &'static str, entries| -> Result<()> {
            let (sets, entered) = (array(&pins, tags)?, array(&pins, ways)?);
            Sets::of((tags, &sets), (ways, &entered), entries, &settings)?.clear()?;
            Ok(())
        };
        tier("FLOW_TAGS", "ESTABLISHED", Some(&entries))?;
        tier("EMBRYO_TAGS", "EMBRYONIC", None)?;
        empty::<End<V4>, Mapping<V4>>(&pins, "MAPPINGS", Map::HashMap)
    }

    fn masquerade(&self, setting: Setting) -> Result<()> {
        let rule = match setting {
            Setting::Ports(low, high) => {
                format!("meta l4proto {{ tcp, udp }} masquerade to :{low}-{high}")
            }
            _ => "masquerade".into(),
        };
        self.gw().nft(&format!(
            "flush ruleset
            table ip nat {{
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    oifname gateway-network {rule}
                }}
            }}
            "
        ))?;
        for timer in timers::ALL {
            for (name, seconds) in timer.linux {
                let hurried = (seconds / timer.divisor).max(1);
                let value = if setting == Setting::Hurried {
                    hurried
                } else {
                    *seconds
                };
                let key = format!("net/netfilter/nf_conntrack_{name}");
                self.gw().sysctl(&key, &value.to_string())?;
            }
        }
        forget_connections(self.gw())
    }

    fn restart(&mut self, datapath: Datapath, setting: Setting) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
            output(self.gateway.user("stop")?.arg("--detach"))?;
        }
        let outside: &[Ipv4Addr] = match setting {
            Setting::Own | Setting::Standby => &[],
            Setting::Pair => &POOL,
            _ => &[VIP],
        };
        self.gw().ip(&[
            "addr flush dev gateway-network".into(),
            format!("addr add {OWN}/24 dev gateway-network"),
            format!("route replace default via {}", super::ground::R),
        ])?;
        for address in outside {
            self.gw()
                .ip(&[format!("addr add {address}/32 dev gateway-network")])?;
        }
        let mut daemon = self
            .gateway
            .start_on(datapath, &inventory(datapath, setting))?;
        world::check_modes(datapath, &daemon.ready()?)?;
        self.daemon = Some(daemon);
        Ok(())
    }
}

/// gwpool's words for a setting.
fn inventory(datapath: Datapath, setting: Setting) -> String {
    let outside = match setting {
        Setting::Own | Setting::Pair => String::new(),
        _ => format!("\n      gateway-network: {{virtual_router_id: 6, vip: {VIP}}}"),
    };
    let nat = match setting {
        Setting::Plain | Setting::Own | Setting::Standby => String::new(),
        Setting::Hurried => format!("log: true, timeouts: {{{}}}", timers::inventory()),
        Setting::Ports(low, high) => format!("ports: {low}-{high}"),
        Setting::Overload(low, high) => format!("overload: true, ports: {low}-{high}"),
        Setting::Pair => format!("addresses: [{}, {}]", POOL[0], POOL[1]),
        Setting::Share(ports) => format!("ports_per_host: {ports}"),
        Setting::Filtering(word) => format!("filtering: {word}"),
        Setting::Denied(host) => format!("deny: [{host}]"),
    };
    format!(
        "nat_gateway_pool:
  hosts:
    gateway-4: {{box-network: {{address: {BOX}}}}}
  vars:
    output_interface: gateway-network
    input_interface: box-network
    vips:
      box-network: {{virtual_router_id: 5, vip: 192.168.1.254}}{outside}
gwpool: {{datapath: {}, nat: {{{nat}}}}}
",
        datapath.name()
    )
}

/// Deletes every entry of a pinned map.
fn empty<K: Pod, V: Pod>(pins: &Pins, name: &str, kind: fn(MapData) -> Map) -> Result<()> {
    let data = MapData::from_pin(pins.map(name)).with_context(|| format!("opening {name}"))?;
    let mut map: HashMap<_, K, V> = HashMap::try_from(kind(data))?;
    let keys: Vec<K> = map.keys().collect::<Result<_, _>>()?;
    for key in keys {
        match map.remove(&key) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(error) => return Err(error).with_context(|| format!("emptying {name}")),
        }
    }
    Ok(())
}

/// An array as it is pinned.
fn array<V: Pod>(pins: &Pins, name: &str) -> Result<Array<MapData, V>> {
    let data = MapData::from_pin(pins.map(name)).with_context(|| format!("opening {name}"))?;
    Ok(Array::try_from(Map::Array(data))?)
}

/// Every connection that the kernel of this host tracks is forgotten: `conntrack -F`, as ctnetlink has it.
pub fn forget_connections(host: &Namespace) -> Result<()> {
    const DELETE: u16 = 1 << 8 | 2; // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE: all of them, as no tuple is named
    const REQUEST_AND_ACK: u16 = 1 | 4;
    let mut message = Vec::new();
    message.extend(20u32.to_ne_bytes());
    message.extend(DELETE.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend([libc::AF_INET as u8, 0, 0, 0]);
    let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
    let (flags, protocol) = (SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter);
    let netlink = host.enter(|| socket(family, kind, flags, protocol))??;
    let kernel = NetlinkAddr::new(0, 0);
    sendto(netlink.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
    let mut answer = [0; 64];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let error = answer.get(16..20).context("a short answer")?;
    let error = i32::from_ne_bytes([error[0], error[1], error[2], error[3]]);
    ensure!(
        length >= 20 && error == 0,
        "forgetting connections: error {error}"
    );
    Ok(())
}
