//! The stand-ins for a cluster's NodePorts: real HTTP/1.1 servers on all addresses of a gateway.
//!
//! Any path answers with the gateway's name; `/bytes/N` streams a known body; a body sent is answered with its
//! sha256; `/counts` tells what was answered so far, itself not counted. One thread a gateway drives all its ports.

use super::namespace::Namespace;
use super::payload::{Payload, hex};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What the servers of one gateway have answered, by port.
pub type Counts = BTreeMap<u16, Count>;

/// What one server has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Connections that asked for anything but `/counts`.
    pub connections: u64,
    /// Requests for anything but `/counts`.
    pub requests: u64,
}

/// The servers of one gateway; they stop on drop.
pub struct NodePorts {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Station {
    name: String,
    counts: Mutex<Counts>,
}

impl NodePorts {
    /// Listens on 0.0.0.0 at every port inside the namespace, and answers as `name`.
    pub fn serve(namespace: &Namespace, name: &str, ports: &[u16]) -> Result<NodePorts> {
        let station = Arc::new(Station {
            name: name.to_owned(),
            counts: Mutex::default(),
        });
        let listeners = namespace.enter(|| {
            ports
                .iter()
                .map(|&port| listen(port))
                .collect::<Result<Vec<_>>>()
        })??;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                for (listener, port) in listeners {
                    tokio::spawn(accept(listener, port, station.clone()));
                }
                let _ = stopped.await;
            });
        });
        Ok(NodePorts {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for NodePorts {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(port: u16) -> Result<(std::net::TcpListener, u16)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("listening on port {port}"))?;
    listener.set_nonblocking(true)?;
    Ok((listener, port))
}

async fn accept(listener: std::net::TcpListener, port: u16, station: Arc<Station>) {
    let listener = TcpListener::from_std(listener)
        .expect("the listener is non-blocking and a runtime is here");
    loop {
        // Out of file descriptors, or a client gone before its turn: the next one may do better.
        let Ok((stream, peer)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let station = station.clone();
        tokio::spawn(async move {
            let counted = Mutex::new(false);
            let service = service_fn(|request| station.answer(port, peer, &counted, request));
            // A client that leaves in the middle is its own business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

impl Station {
    async fn answer(
        &self,
        port: u16,
        peer: SocketAddr,
        counted: &Mutex<bool>,
        request: Request<Incoming>,
    ) -> Result<Answer, hyper::Error> {
        if request.uri().path() == "/counts" {
            let counts =
                serde_json::to_vec(&*lock(&self.counts)).expect("a map of numbers is JSON");
            return Ok(self.response(peer, Full::from(counts)));
        }
        self.count(port, counted);
        if request.method() == Method::POST || request.method() == Method::PUT {
            let digest = digest(request.into_body()).await?;
            return Ok(self.response(peer, Full::from(digest + "\n")));
        }
        if let Some(bytes) = request.uri().path().strip_prefix("/bytes/") {
            return Ok(match bytes.parse() {
                Ok(bytes) => self.response(peer, Payload::new(bytes)),
                Err(_) => {
                    let mut answer = self.response(peer, Full::from("wanted: /bytes/NUMBER\n"));
                    *answer.status_mut() = StatusCode::BAD_REQUEST;
                    answer
                }
            });
        }
        Ok(self.response(peer, Full::from(format!("{}\n", self.name))))
    }

    /// Counts a request, and at its first one the connection.
    fn count(&self, port: u16, counted: &Mutex<bool>) {
        let first = !std::mem::replace(&mut *lock(counted), true);
        let mut counts = lock(&self.counts);
        let count = counts.entry(port).or_default();
        count.connections += u64::from(first);
        count.requests += 1;
    }

    /// Every answer says who gives it and whom it saw asking.
    fn response<B>(&self, peer: SocketAddr, body: B) -> Answer
    where
        B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
    {
        Response::builder()
            .header("x-backend", &self.name)
            .header("x-peer", peer.to_string())
            .body(body.map_err(|never| match never {}).boxed_unsync())
            .expect("a host name and an address are header values")
    }
}

async fn digest(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut digest = Sha256::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            digest.update(&data);
        }
    }
    Ok(hex(digest))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
