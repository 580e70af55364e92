//! Flows listed, followed and removed while their connections run: what a line says is what the sockets at both ends
//! have, and nobody but root removes one.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use anyhow::Result;
use gwpool_harness::net::client::Kept;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::gateway::{Gateway, user_binary};
use gwpool_harness::net::namespace::output;
use gwpool_harness::net::wait::wait_until;
use gwpool_harness::net::world::World;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const WEB: u16 = 30080;
const DATAGRAMS: u16 = 30053;

/// One gateway with a TCP route and a UDP one over the whole pool.
fn world(datapath: Datapath) -> Result<World> {
    let mut world = World::links(&World::fresh_id("t"), datapath)?;
    world.serve_all()?;
    let gateway = world.site.gateway(1).clone();
    let inventory = world.site.pool_inventory(&[("web", WEB, WEB)]);
    let datagrams = format!(
        "    datagrams: {{mode: udp, address: \"*\", port: {DATAGRAMS}, destination: {{hosts: [gateway-2], port: {DATAGRAMS}}}}}\n"
    );
    world.start_on(&gateway, &format!("{inventory}{datagrams}"))?;
    Ok(world)
}

/// A connection to this backend, with a request answered on it.
fn connection(world: &World, backend: &str) -> Result<Kept> {
    let gateway = world.site.gateway(1);
    let host = world.site.turn_to(gateway, WEB, backend)?;
    let mut kept = world.site.client.keep(host)?;
    assert_eq!(kept.get("/")?.backend, backend);
    Ok(kept)
}

fn lines(gateway: &Gateway, words: &[&str]) -> Result<Vec<String>> {
    let all = [&["flows"], words].concat();
    let said = gateway.tell(&all)?;
    Ok(said.out.lines().map(str::to_owned).collect())
}

fn a_line_says_what_the_sockets_have(datapath: Datapath) -> Result<()> {
    let world = world(datapath)?;
    let gateway = world.site.gateway(1);
    let mut kept = connection(&world, "gateway-2")?;
    let SocketAddr::V4(client) = kept.local_address() else {
        anyhow::bail!("IPv4");
    };
    let port = format!("port={}", client.port());
    let one = lines(
        gateway,
        &[&port, "route=web", "proto=tcp", "backend=gateway-2"],
    )?;
    let [line] = one.as_slice() else {
        anyhow::bail!("one flow, not {one:?}");
    };
    let (front, to) = (gateway.gateway_network, world.site.gateway(2).box_network);
    let there = format!(
        "ESTABLISHED src={} dst={front} sport={} dport={WEB}",
        client.ip(),
        client.port()
    );
    let back = format!("src={to} dst={} sport={WEB}", gateway.box_network);
    assert!(
        line.starts_with("tcp      6 74") && line.contains(&there),
        "{line}"
    );
    assert!(line.contains(&back), "{line}");
    assert!(
        line.ends_with("[ASSURED] route=web backend=gateway-2"),
        "{line}"
    );
    let object: Value = serde_json::from_str(&lines(gateway, &["--json", &port])?.concat())?;
    assert_eq!(object["client"]["source_port"], client.port());
    assert_eq!(
        (&object["state"], &object["backend"]),
        (&"ESTABLISHED".into(), &"gateway-2".into())
    );
    assert_eq!(
        kept.get("/")?.backend,
        "gateway-2",
        "looking changes nothing"
    );
    Ok(())
}

fn a_datagram_that_nobody_answers_is_unreplied(datapath: Datapath) -> Result<()> {
    let world = world(datapath)?;
    let gateway = world.site.gateway(1);
    let front = SocketAddrV4::new(gateway.gateway_network, DATAGRAMS);
    let socket = world
        .site
        .client
        .namespace
        .enter(|| UdpSocket::bind("0.0.0.0:0"))??;
    socket.send_to(b"question", front)?;
    let unreplied = || lines(gateway, &["state=unreplied", "route=datagrams"]);
    wait_until("the datagram", LIMIT, || {
        unreplied().is_ok_and(|lines| lines.len() == 1)
    })?;
    let line = unreplied()?.concat();
    let [udp, reply] = line.split(" [UNREPLIED] ").collect::<Vec<_>>()[..] else {
        anyhow::bail!("{line}");
    };
    assert!(
        udp.starts_with("udp      17 1") && reply.ends_with(" route=datagrams backend=gateway-2"),
        "{line}"
    );
    assert!(lines(gateway, &["nat"])?.is_empty() && lines(gateway, &["mapping"])?.is_empty());
    assert_eq!(lines(gateway, &["--limit", "1"])?.len(), 1);
    Ok(())
}

/// A command that goes on, and what it has said so far.
struct Following {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Following {
    fn new(gateway: &Gateway, words: &[&str]) -> Result<Self> {
        let mut command = gateway.user("flows")?;
        command.arg("--follow").args(words);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = Arc::default();
        collect(child.stdout.take().unwrap(), &said);
        collect(child.stderr.take().unwrap(), &said);
        let following = Following { child, said };
        following.hears("following")?;
        Ok(following)
    }

    /// Waits for a line with all these words in it.
    fn hears(&self, words: &str) -> Result<()> {
        let fits = |line: &String| words.split_whitespace().all(|word| line.contains(word));
        let heard = wait_until(words, LIMIT, || self.said.lock().unwrap().iter().any(fits));
        heard.map_err(|error| error.context(format!("{:?}", self.said.lock())))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, into: &Arc<Mutex<Vec<String>>>) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    });
}

fn whoever_follows_hears_of_beginnings_and_ends(datapath: Datapath) -> Result<()> {
    let world = world(datapath)?;
    let gateway = world.site.gateway(1);
    let old = connection(&world, "gateway-3")?;
    let following = Following::new(gateway, &["backend=gateway-2"])?;
    let kept = connection(&world, "gateway-2")?;
    let port = format!("sport={}", kept.local_address().port());
    following.hears(&format!("[NEW] ESTABLISHED {port} backend=gateway-2"))?;
    drop(kept);
    following.hears(&format!("[UPDATE] TIME_WAIT {port}"))?;
    gateway.tell(&["flows", "--delete", "backend=gateway-2"])?;
    following.hears(&format!("[DESTROY] {port}"))?;
    let other = format!("sport={} ", old.local_address().port());
    let said = following.said.lock().unwrap();
    assert!(!said.iter().any(|line| line.contains(&other)), "{said:?}");
    Ok(())
}

fn what_is_removed_is_gone_and_nothing_else(datapath: Datapath) -> Result<()> {
    let world = world(datapath)?;
    let gateway = world.site.gateway(1);
    let mut gone = connection(&world, "gateway-2")?;
    let mut stays = connection(&world, "gateway-3")?;
    let port = format!("port={}", gone.local_address().port());
    let said = gateway.tell(&["flows", "--delete", &port])?;
    assert_eq!(said.err, "1 flow(s) and 0 mapping(s) removed\n");
    assert!(said.out.contains("backend=gateway-2") && said.out.lines().count() == 1);
    assert!(lines(gateway, &[&port])?.is_empty());
    assert!(
        gone.get("/").is_err(),
        "the local stack knows no such connection"
    );
    assert_eq!(stays.get("/")?.backend, "gateway-3");
    let log = std::fs::read_to_string(gateway.log())?;
    let logged = format!("uid 0: flows --delete {port}: 1 flow(s), 0 mapping(s) removed");
    assert!(log.contains(&logged), "{log}");
    Ok(())
}

#[test]
fn only_root_removes_and_says_which() -> Result<()> {
    let world = world(Datapath::Tc)?;
    let gateway = world.site.gateway(1);
    let mut kept = connection(&world, "gateway-2")?;
    let nobody = |words: &[&str]| {
        let mut user = gateway.namespace.command("setpriv");
        user.args(["--reuid", "65534", "--regid", "0", "--clear-groups"]);
        user.arg(user_binary()?);
        user.args(words)
            .arg("--runtime-dir")
            .arg(gateway.runtime_dir());
        output(&mut user)
    };
    assert!(nobody(&["flows", "route=web"])?.contains("backend=gateway-2"));
    let error = format!(
        "{:#}",
        nobody(&["flows", "--delete", "route=web"]).unwrap_err()
    );
    assert!(
        error.contains("for root") && error.contains("65534"),
        "{error}"
    );
    for words in [
        ["flows", "--delete"].as_slice(),
        &["flows", "--delete", "route=wbe"],
        &["flows", "prt=3", "client=x"],
    ] {
        let said = gateway.say(words)?;
        assert_eq!(said.code, 2, "{words:?}: {said:?}");
    }
    assert_eq!(kept.get("/")?.backend, "gateway-2", "nothing was removed");
    Ok(())
}

#[test]
fn a_reader_that_sleeps_delays_nobody() -> Result<()> {
    let world = world(Datapath::Tc)?;
    let gateway = world.site.gateway(1);
    let _kept = connection(&world, "gateway-2")?;
    // As many as may at a time, none of which reads.
    let mut asleep = Vec::new();
    for _ in 0..8 {
        asleep.push(Following::new(gateway, &[])?);
    }
    let said = gateway.say(&["flows"])?;
    assert!(
        said.code == 1 && said.err.contains("end one of them"),
        "{said:?}"
    );
    assert!(
        gateway.stats()?.route("web").is_ok(),
        "and the daemon answers"
    );
    asleep.pop();
    wait_until("the place of the one that left", LIMIT, || {
        gateway.say(&["flows"]).is_ok_and(|said| said.code == 0)
    })?;
    Ok(())
}

gwpool_harness::in_native_and_tc! {
    a_line_says_what_the_sockets_have
    a_datagram_that_nobody_answers_is_unreplied
    whoever_follows_hears_of_beginnings_and_ends
    what_is_removed_is_gone_and_nothing_else
}
