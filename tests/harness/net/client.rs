//! The web client: real HTTP/1.1 requests from inside a namespace, each on its own connection unless kept on
//! purpose, with the time the handshake took and who answered.

use super::namespace::Namespace;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Barrier;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a request may take, its handshake included.
const LIMIT: Duration = Duration::from_secs(20);

/// A host to ask from.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where its sockets are.
    pub namespace: Namespace,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The gateway whose server answered.
    pub backend: String,
    /// Whom that server saw asking.
    pub seen: SocketAddr,
    /// The client's own address and port.
    pub local: SocketAddr,
    /// How long the TCP handshake took.
    pub connect: Duration,
    /// The whole body.
    pub body: Bytes,
}

/// An open connection, for requests now and later.
pub struct Kept {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
}

struct Connection {
    send: SendRequest<Empty<Bytes>>,
    host: SocketAddrV4,
    local: SocketAddr,
    connect: Duration,
}

impl Client {
    /// One request on a connection of its own.
    pub fn get(&self, host: SocketAddrV4, path: &str) -> Result<Answer> {
        self.namespace.block_on(|| get(host, path.to_owned()))?
    }

    /// Connects, and keeps the connection.
    pub fn keep(&self, host: SocketAddrV4) -> Result<Kept> {
        let begin = Instant::now();
        let stream = self
            .namespace
            .enter(|| std::net::TcpStream::connect(host))?;
        let (stream, connect) = (stream.context("connecting")?, begin.elapsed());
        stream.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let connection =
            async { Connection::over(TcpStream::from_std(stream)?, host, connect).await };
        let connection = runtime.block_on(connection)?;
        Ok(Kept {
            runtime,
            connection,
        })
    }

    /// One after the other, each on a connection of its own.
    pub fn sequential(&self, host: SocketAddrV4, count: usize) -> Result<Vec<Answer>> {
        self.namespace.block_on(|| async move {
            let mut answers = Vec::with_capacity(count);
            for _ in 0..count {
                answers.push(get(host, "/".into()).await?);
            }
            Ok(answers)
        })?
    }

    /// All at once, from every CPU this process may use, each on a connection of its own.
    pub fn concurrent(&self, host: SocketAddrV4, count: usize) -> Result<Vec<Answer>> {
        let cpus = cpus()?;
        let start = Barrier::new(cpus.len());
        std::thread::scope(|scope| {
            let shares = cpus.iter().enumerate().map(|(index, &cpu)| {
                let share = count / cpus.len() + usize::from(index < count % cpus.len());
                let start = &start;
                scope.spawn(move || {
                    self.namespace.block_on(|| async move {
                        let mut set = CpuSet::new();
                        let pinned = set
                            .set(cpu)
                            .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
                        start.wait();
                        pinned.context("pinning a thread to a CPU")?;
                        let mut pending = (0..share)
                            .map(|_| get(host, "/".into()))
                            .collect::<JoinSet<_>>();
                        let mut answers = Vec::with_capacity(share);
                        while let Some(answer) = pending.join_next().await {
                            answers.push(answer??);
                        }
                        Ok(answers)
                    })?
                })
            });
            let threads: Vec<_> = shares.collect();
            let mut answers = Vec::with_capacity(count);
            for thread in threads {
                let share: Result<Vec<Answer>> = thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                answers.extend(share?);
            }
            Ok(answers)
        })
    }
}

async fn get(host: SocketAddrV4, path: String) -> Result<Answer> {
    let work = async { open(host).await?.get(&path).await };
    let answer = tokio::time::timeout(LIMIT, work).await;
    answer
        .with_context(|| format!("no answer within {LIMIT:?}"))
        .flatten()
        .with_context(|| format!("GET {host}{path}"))
}

async fn open(host: SocketAddrV4) -> Result<Connection> {
    let begin = Instant::now();
    let stream = TcpStream::connect(host).await.context("connecting")?;
    Connection::over(stream, host, begin.elapsed()).await
}

impl Kept {
    /// Where the client's socket is.
    pub fn local_address(&self) -> SocketAddr {
        self.connection.local
    }

    /// A request on the connection.
    pub fn get(&mut self, path: &str) -> Result<Answer> {
        let answer = async { tokio::time::timeout(LIMIT, self.connection.get(path)).await };
        let answer = self.runtime.block_on(answer);
        answer
            .with_context(|| format!("no answer within {LIMIT:?}"))
            .flatten()
    }
}

impl Connection {
    async fn over(stream: TcpStream, host: SocketAddrV4, connect: Duration) -> Result<Connection> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let (send, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors come out of the request that suffers from them.
        tokio::spawn(connection);
        Ok(Connection {
            send,
            host,
            local,
            connect,
        })
    }

    async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send.ready().await.context("the connection is gone")?;
        let request = Request::get(path)
            .header("host", self.host.to_string())
            .body(Empty::new())?;
        let response = self.send.send_request(request).await.context("asking")?;
        ensure!(
            response.status().is_success(),
            "the server said {}",
            response.status()
        );
        let header = |name: &str| {
            let value = response
                .headers()
                .get(name)
                .with_context(|| format!("the answer has no {name}"))?;
            anyhow::Ok(value.to_str()?.to_owned())
        };
        let (backend, seen) = (header("x-backend")?, header("x-peer")?.parse()?);
        let body = response
            .into_body()
            .collect()
            .await
            .context("reading the answer")?
            .to_bytes();
        Ok(Answer {
            backend,
            seen,
            local: self.local,
            connect: self.connect,
            body,
        })
    }
}

/// The CPUs this process may use.
fn cpus() -> Result<Vec<usize>> {
    let set = nix::sched::sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
        .collect())
}
