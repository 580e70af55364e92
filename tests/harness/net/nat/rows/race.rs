//! Connections from the same ports at the same time: an inside host's, the gateway's own and a container's on it, all
//! to one port outside. Each tells its name and must be told the same; another's answer, or none, is what must not be.

use super::super::ground::{E, Ground, OWN};
use super::super::probe::ANY;
use crate::net::LIMIT;
use crate::net::namespace::Namespace;
use anyhow::{Context, Result, ensure};
use nix::sys::socket::sockopt::{Linger, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket,
};
use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Barrier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How many connections each side has, from this port on.
const CONNECTIONS: u16 = 10_000;
const FIRST: u16 = 10_000;
/// How many of them stand at a time.
const BATCH: usize = 200;
const SERVER: SocketAddrV4 = SocketAddrV4::new(E, 7777);

/// How the connections of one side ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    answered: u32,
    /// By another's answer.
    crossed: u32,
    /// By an error.
    failed: u32,
}

/// Both sides.
pub struct Tally {
    inside: Ended,
    host: Ended,
    pod: Ended,
    /// What the first error said.
    first: Option<String>,
}

impl Tally {
    /// All were answered by their own.
    pub fn clean(&self) -> bool {
        let sum = |ended: &[Ended]| ended.iter().map(|ended| ended.answered).sum::<u32>();
        let each = u32::from(CONNECTIONS);
        self.inside.answered == each && sum(&[self.host, self.pod]) == each
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            inside,
            host,
            pod,
            first,
        } = self;
        write!(out, "inside {inside:?}, host {host:?}, container {pod:?}")?;
        first
            .as_ref()
            .map_or(Ok(()), |first| write!(out, ", the first error: {first}"))
    }
}

/// Runs it.
pub fn run(ground: &Ground, pod: &Namespace) -> Result<Tally> {
    let (ready, listening) = std::sync::mpsc::channel();
    let (done, stop) = tokio::sync::oneshot::channel();
    let barrier = Barrier::new(3);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| ground.e.block_on(move || serve(ready, stop))?);
        let raced = listening
            .recv_timeout(LIMIT)
            .context("no server")
            .and_then(|()| {
                let side = |host: &'static str, namespace, source, every| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        Namespace::enter(namespace, || contend(host, source, every, barrier))
                    })
                };
                let inside = side("inside", &ground.c1, ANY, |_| true);
                let host = side("host", ground.gw(), OWN, |port| port % 2 == 0);
                let pod = side("pod", pod, ANY, |port| port % 2 == 1);
                let ended = [inside, host, pod].map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                });
                let [inside, host, pod] = ended;
                let (inside, host, pod) = (inside??, host??, pod??);
                let first = [&inside.1, &host.1, &pod.1]
                    .into_iter()
                    .flatten()
                    .next()
                    .cloned();
                Ok(Tally {
                    inside: inside.0,
                    host: host.0,
                    pod: pod.0,
                    first,
                })
            });
        let _ = done.send(());
        server
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        raced
    })
}

/// Tells everybody what they said.
async fn serve(
    ready: std::sync::mpsc::Sender<()>,
    mut stop: tokio::sync::oneshot::Receiver<()>,
) -> Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SERVER.into())?;
    let listener = socket.listen(4096)?;
    ready.send(())?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => return Ok(()),
        };
        let (mut stream, _) = accepted?;
        tokio::spawn(async move {
            let mut name = [0; 16];
            while stream.read_exact(&mut name).await.is_ok()
                && stream.write_all(&name).await.is_ok()
            {}
        });
    }
}

/// One side's connections, a batch at a time with the other's.
fn contend(
    host: &'static str,
    source: Ipv4Addr,
    ours: fn(u16) -> bool,
    barrier: &Barrier,
) -> Result<(Ended, Option<String>)> {
    let mut ended = Ended::default();
    let mut first = None;
    let ports: Vec<u16> = (FIRST..FIRST + CONNECTIONS).collect();
    for batch in ports.chunks(BATCH) {
        barrier.wait();
        let open: Vec<_> = batch
            .iter()
            .filter(|port| ours(**port))
            .map(|port| (*port, opened(source, *port)))
            .collect();
        for (port, stream) in &open {
            let answer = stream
                .as_ref()
                .map_err(|error| format!("{error:#}"))
                .and_then(|stream| {
                    answer(stream, host, *port).map_err(|error| format!("{error:#}"))
                });
            match answer {
                Ok(true) => ended.answered += 1,
                Ok(false) => ended.crossed += 1,
                Err(error) => {
                    ended.failed += 1;
                    first.get_or_insert(format!("{host} {port}: {error}"));
                }
            }
        }
        // Both sides' connections of a batch stand until all of them have been answered.
        barrier.wait();
    }
    Ok((ended, first))
}

/// In the namespace of the calling thread; closed by a reset, so that the port is free at once.
fn opened(source: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let (family, kind) = (AddressFamily::Inet, SockType::Stream);
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    setsockopt(
        &socket,
        Linger,
        &nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        },
    )?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    bind(
        stream.as_raw_fd(),
        &SockaddrIn::from(SocketAddrV4::new(source, port)),
    )?;
    connect(stream.as_raw_fd(), &SockaddrIn::from(SERVER))?;
    Ok(stream)
}

/// Whether it is told its own name.
fn answer(mut stream: &TcpStream, host: &str, port: u16) -> Result<bool> {
    let name = format!("{host:>10}{port:>6}");
    ensure!(name.len() == 16, "{name:?} is not 16 bytes");
    stream.write_all(name.as_bytes()).context("telling")?;
    let mut told = [0; 16];
    stream.read_exact(&mut told).context("being told")?;
    Ok(told == name.as_bytes())
}
