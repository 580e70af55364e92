//! What translation hangs on, as an operator sees it: it is on while the host holds the VIP and stands by else, and no
//! mapping ends by that; ports that are the host's are not given out; rules of the kernel's own that translate, too, are
//! named with what takes them out; and `stop --detach` says what becomes of the packets.
//!
//! gateway-2 is an inside host here: its way to the client is gateway-1's box-network address.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::{Context, Result};
use gwpool_harness::in_native_and_tc;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::inside::{self, INVENTORY, VIP, nat, vip};
use gwpool_harness::net::site::CLIENT;
use gwpool_harness::net::sockets;
use gwpool_harness::net::wait::{wait_for, wait_until};
use gwpool_harness::net::world::World;
use serde_json::Value;
use std::io::ErrorKind;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

/// A port of the client's that answers.
const ASKED: u16 = 7000;
/// A port of the host's own, and one that is anybody's.
const OWN_PORT: u16 = 3000;
const FREE_PORT: u16 = 3001;
/// How long an answer may take where none is expected.
const SILENCE: Duration = Duration::from_millis(100);

fn up(datapath: Datapath) -> Result<World> {
    let inventory = format!(
        "{INVENTORY}gwpool: {{datapath: {}, nat: {{host_ports: {OWN_PORT}}}}}\n",
        datapath.name()
    );
    let world = World::with_inventory(datapath, &inventory)?;
    inside::route(&world)?;
    Ok(world)
}

/// An inside host's socket and the one that it speaks with.
struct Talk {
    inside: UdpSocket,
    client: UdpSocket,
}

impl Talk {
    fn new(world: &World, port: u16) -> Result<Talk> {
        let own = world.site.gateway(2).box_network;
        let talk = Talk {
            inside: sockets::udp(inside::host(world), own, port)?,
            client: sockets::udp(&world.site.client.namespace, CLIENT, ASKED)?,
        };
        for socket in [&talk.inside, &talk.client] {
            socket.set_read_timeout(Some(SILENCE))?;
        }
        Ok(talk)
    }

    /// Whom the client sees; `None`: nothing comes.
    fn says(&self) -> Result<Option<SocketAddr>> {
        self.inside
            .send_to(b"hello", SocketAddrV4::new(CLIENT, ASKED))?;
        match self.client.recv_from(&mut [0; 16]) {
            Ok((_, from)) => Ok(Some(from)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Says it until it is heard: who is heard.
    fn is_heard(&self) -> Result<SocketAddr> {
        wait_for("the client to hear the inside host", LIMIT, || {
            self.says()?.context("nothing comes")
        })
    }

    fn is_answered(&self, at: SocketAddr) -> Result<bool> {
        self.client.send_to(b"answer", at)?;
        Ok(self.inside.recv_from(&mut [0; 16]).is_ok())
    }
}

fn it_is_on_while_the_vip_is_here(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let gateway = world.site.gateway(1);
    let talk = Talk::new(&world, FREE_PORT)?;
    assert_eq!(nat(gateway)?["active"], false);
    assert_eq!(talk.says()?, None, "it stands by");
    assert!(gateway.stats()?.reasons["nat_standby"] >= 1);

    vip(gateway, "add")?;
    let seen = SocketAddr::from((VIP, FREE_PORT));
    assert_eq!(talk.is_heard()?, seen);
    assert!(talk.is_answered(seen)?);
    let nat_now = nat(gateway)?;
    assert_eq!(nat_now["addresses"], serde_json::json!([VIP.to_string()]));
    assert_eq!(nat_now["sources"], serde_json::json!(["192.168.1.0/24"]));
    let mappings = || -> Result<Value> { Ok(nat(gateway)?["mappings"]["udp"].clone()) };
    assert_eq!(mappings()?, 1);

    vip(gateway, "del")?;
    assert_eq!(mappings()?, 1, "what it knows stays");
    vip(gateway, "add")?;
    assert_eq!(talk.is_heard()?, seen, "the same mapping");
    assert!(talk.is_answered(seen)?);
    assert_eq!(mappings()?, 1);
    // The same plan on the same host writes nothing.
    let inventory = std::fs::read_to_string(gateway.inventory_file())?;
    let again = gateway.reload(&inventory)?;
    assert_eq!(
        (&again["changed"], &again["writes"]),
        (&Value::from(false), &Value::from(0))
    );
    assert_eq!(gateway.log_errors()?, Vec::<String>::new());
    Ok(())
}

fn the_hosts_own_ports_are_not_given_out(datapath: Datapath) -> Result<()> {
    let world = up(datapath)?;
    let gateway = world.site.gateway(1);
    vip(gateway, "add")?;
    let seen = Talk::new(&world, OWN_PORT)?.is_heard()?;
    assert_eq!(seen.ip(), VIP);
    assert_ne!(seen.port(), OWN_PORT);
    // From now on the other one is the host's.
    let inventory = std::fs::read_to_string(gateway.inventory_file())?;
    let own = |port: u16| {
        inventory.replace(
            &format!("host_ports: {OWN_PORT}"),
            &format!("host_ports: {port}"),
        )
    };
    assert_eq!(gateway.reload(&own(FREE_PORT))?["changed"], true);
    let seen = Talk::new(&world, FREE_PORT)?.is_heard()?;
    assert_ne!(seen.port(), FREE_PORT);
    Ok(())
}

const RULES: &str = "table ip nat {
chain leave { type nat hook postrouting priority srcnat
  ip saddr 172.17.0.0/16 oifname != docker0 masquerade
  oifname gateway-network masquerade
}
}
";

fn rules_that_translate_too_are_named_with_what_takes_them_out(datapath: Datapath) -> Result<()> {
    let mut world = up(datapath)?;
    let gateway = world.site.gateway(1).clone();
    let log = || std::fs::read_to_string(gateway.log()).unwrap();
    let removals = || -> Vec<String> {
        let text = log();
        let lines = text
            .lines()
            .filter_map(|line| line.split_once("Take it out: "));
        lines
            .map(|(_, removal)| removal.trim().to_owned())
            .collect()
    };
    let none = || log().contains("no rule of the kernel's own translates");
    wait_until("the daemon to have asked", LIMIT, none)?;
    assert_eq!(removals(), Vec::<String>::new());

    gateway.namespace.nft(RULES)?;
    world.kill(&gateway)?;
    let inventory = std::fs::read_to_string(gateway.inventory_file())?;
    world.start_on(&gateway, &inventory)?;
    wait_until("the daemon to name the rule", LIMIT, || {
        !removals().is_empty()
    })?;
    let named = removals();
    assert_eq!(named.len(), 1, "docker's is docker's: {named:#?}");

    let said = gateway.tell(&["stop", "--detach"])?.out;
    assert!(said.contains(&named[0]) && !said.contains("LEAK"), "{said}");
    let words: Vec<&str> = named[0].split(' ').collect();
    gateway.namespace.run(words[0], &words[1..])?;
    let left = gateway.namespace.run("nft", &["list", "ruleset"])?;
    assert!(
        left.contains("docker0") && !left.contains("gateway-network"),
        "{left}"
    );
    Ok(())
}

fn taking_it_off_says_what_leaks(datapath: Datapath) -> Result<()> {
    let mut world = up(datapath)?;
    let gateway = world.site.gateway(1).clone();
    let detach = || -> Result<String> { Ok(gateway.tell(&["stop", "--detach"])?.out) };
    let leak = detach()?;
    assert!(
        leak.contains("LEAK: inside hosts' packets leave by gateway-network"),
        "{leak}"
    );
    let seen = Talk::new(&world, FREE_PORT)?.is_heard()?;
    let own = world.site.gateway(2).box_network;
    assert_eq!(seen, SocketAddr::from((own, FREE_PORT)), "as was said");
    let nothing = detach()?;
    assert!(
        !nothing.contains("inside hosts"),
        "nothing was on: {nothing}"
    );

    gateway
        .namespace
        .sysctl("net/ipv4/conf/box-network/forwarding", "0")?;
    let inventory = std::fs::read_to_string(gateway.inventory_file())?;
    world.start_on(&gateway, &inventory)?;
    world.kill(&gateway)?;
    let off = detach()?;
    assert!(off.contains("nothing leaks"), "without a daemon: {off}");
    assert_eq!(Talk::new(&world, FREE_PORT + 1)?.says()?, None);
    Ok(())
}

in_native_and_tc! {
    it_is_on_while_the_vip_is_here
    the_hosts_own_ports_are_not_given_out
    rules_that_translate_too_are_named_with_what_takes_them_out
    taking_it_off_says_what_leaks
}
