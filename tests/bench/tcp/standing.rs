//! One contestant as it stands: its row, what forwards on the gateway, and the servers behind it.

use crate::peers::{self, Service};
use crate::pps::lane;
use crate::row::{self, BACK_LINK, BACKENDS, Endpoints, FRONT, Row};
use anyhow::{Context, Result, ensure};
use aya::Ebpf;
use gwpool_harness::net::LIMIT;
use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::namespace::Namespace;
use gwpool_harness::net::nginx::Nginx;
use gwpool_harness::net::run::gate;
use gwpool_harness::net::wait::wait_for;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Where nginx listens.
pub const HTTP: u16 = 80;
/// Where iperf3 does.
pub const STREAM: u16 = 5201;

/// What nginx is told besides where it listens: one body of 64 bytes, and connections that stay as long as clients want.
const SITE: &str =
    "access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; default_type text/plain;
    server { listen 80 backlog=8192; location / {
        return 200 \"sixty-four bytes, no more and no less, come back from a backend\\n\";
    } }";

/// What forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarder {
    /// Nobody: the ends are on one cable.
    Nobody,
    /// Our own program that gives a frame other Ethernet addresses, and no more.
    Redirect,
    /// The kernel, which translates nothing: clients ask a backend by its own address.
    Kernel,
    /// The daemon and its programs.
    Gwpool(Datapath),
    /// nftables.
    Nft,
    /// iptables.
    Iptables,
    /// HAProxy in this mode.
    Haproxy(&'static str),
}

/// The cores that client and server are pinned to.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// The client's.
    pub client: usize,
    /// The server's.
    pub server: usize,
}

/// Ended on drop.
struct Running(Child);

/// What forwards for as long as it is held, where that is neither the kernel nor the row's daemon.
#[derive(Default)]
struct Held {
    _proxy: Option<Running>,
    _steps: Vec<Ebpf>,
}

/// A contestant, ready for the first shot.
pub struct Standing {
    /// Its row.
    pub row: Row,
    /// Whom the client asks.
    pub target: Ipv4Addr,
    /// Who has which core.
    pub cores: Cores,
    _held: Held,
    _nginx: Nginx,
    _iperf: Running,
}

impl Cores {
    /// The first two that we may use.
    pub fn find() -> Result<Cores> {
        let ours = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores = (0..CpuSet::count()).filter(|core| ours.is_set(*core).unwrap_or(false));
        let (client, server) = (cores.next(), cores.next());
        Ok(Cores {
            client: client.context("no core is ours")?,
            server: server.context("client and server take a core each, and there is one")?,
        })
    }
}

/// A program in a namespace, on one core.
pub fn pinned(host: &Namespace, core: usize, program: &str) -> Command {
    let mut command = host.command("taskset");
    command.args(["--cpu-list", &core.to_string(), program]);
    command
}

impl Standing {
    /// Sets it up, and asks through it once.
    pub fn up(endpoints: Endpoints, forwarder: Forwarder, cores: Cores) -> Result<Standing> {
        let mut row = match forwarder {
            Forwarder::Nobody => Row::direct(endpoints)?,
            _ => Row::up(endpoints)?,
        };
        std::fs::create_dir_all(&row.gateway.directory)?;
        let root = row.gateway.directory.join("nginx");
        let nginx = pinned(&row.backends, cores.server, "nginx");
        let nginx = Nginx::serve(nginx, &row.backends, &root, HTTP, SITE)?;
        let iperf = iperf_server(&row.backends, cores.server)?;
        let held = forward(&mut row, forwarder)?;
        let standing = Standing {
            target: match forwarder {
                Forwarder::Nobody | Forwarder::Redirect | Forwarder::Kernel => BACKENDS[0],
                _ => FRONT,
            },
            row,
            cores,
            _held: held,
            _nginx: nginx,
            _iperf: iperf,
        };
        // Its own words, where a proxy has any.
        let words = || std::fs::read_to_string(proxy_log(&standing.row)).unwrap_or_default();
        wait_for("an answer", LIMIT, || standing.ask()).with_context(words)?;
        Ok(standing)
    }

    /// One request; it must be answered.
    fn ask(&self) -> Result<()> {
        let host = SocketAddrV4::new(self.target, HTTP);
        let answer = self.row.client.enter(|| -> Result<String> {
            let mut stream = TcpStream::connect_timeout(&host.into(), LIMIT)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })??;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{host} says {answer:?}");
        Ok(())
    }
}

/// Starts what forwards.
fn forward(row: &mut Row, forwarder: Forwarder) -> Result<Held> {
    let service = Service {
        protocol: "tcp",
        listen: FRONT,
        ports: &[HTTP, STREAM],
        backends: &BACKENDS,
    };
    let gateway = &row.gateway.namespace;
    match forwarder {
        Forwarder::Nobody | Forwarder::Kernel => {}
        Forwarder::Redirect => {
            return Ok(Held {
                _steps: lane::steps(row)?,
                ..Held::default()
            });
        }
        Forwarder::Gwpool(datapath) => {
            let routes = [("tcp", HTTP), ("tcp", STREAM)];
            let limits = "new_flows_per_source: 1000000";
            row.serve(datapath, &row::forwarding(datapath, &routes, limits))?;
        }
        Forwarder::Nft => peers::nft_balance(&service, BACK_LINK).load(gateway)?,
        Forwarder::Iptables => peers::iptables_balance(&service, BACK_LINK).load(gateway)?,
        Forwarder::Haproxy(mode) => {
            let file = row.gateway.directory.join("haproxy.cfg");
            std::fs::write(&file, peers::haproxy(mode, &service))?;
            let mut haproxy = gateway.command("haproxy");
            // In the foreground, so that it is ours to end.
            haproxy.arg("-db").arg("-f").arg(&file);
            haproxy.stderr(File::create(proxy_log(row))?);
            return Ok(Held {
                _proxy: Some(Running::start(&mut haproxy)?),
                ..Held::default()
            });
        }
    }
    Ok(Held::default())
}

fn proxy_log(row: &Row) -> PathBuf {
    row.gateway.directory.join("haproxy.log")
}

fn iperf_server(host: &Namespace, core: usize) -> Result<Running> {
    let mut command = pinned(host, core, "iperf3");
    command.args(["-4", "--server", "--port", &STREAM.to_string()]);
    let iperf = Running::start(command.stdout(Stdio::null()))?;
    // A connection would be a test that fails: the kernel is asked instead.
    wait_for("iperf3 to listen", LIMIT, || {
        let sockets = host.enter(|| std::fs::read_to_string("/proc/thread-self/net/tcp"))??;
        let listens = format!(":{STREAM:04X} 00000000:0000 0A");
        ensure!(sockets.contains(&listens), "it does not listen yet");
        Ok(())
    })?;
    Ok(iperf)
}

impl Running {
    fn start(command: &mut Command) -> Result<Running> {
        let _gate = gate();
        let child = command.stdin(Stdio::null()).spawn();
        child
            .map(Running)
            .with_context(|| format!("starting {command:?}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
