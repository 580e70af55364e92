//! Sockets as a program has them, made inside a namespace and used from anywhere. Whatever waits on one gives up
//! after [`LIMIT`](super::LIMIT): a test that hangs shows nothing.

use super::LIMIT;
use super::namespace::Namespace;
use anyhow::{Context, Result};
use nix::sys::socket::sockopt::{
    KeepAlive, Linger, ReceiveTimeout, ReuseAddr, SendTimeout, TcpKeepIdle, TcpKeepInterval,
};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect as connect_socket, setsockopt,
    socket,
};
use nix::sys::time::TimeVal;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

/// The two ends of a connection, as the programs at them have it.
#[derive(Debug)]
pub struct Pair {
    /// The client's socket.
    pub client: TcpStream,
    /// The backend's.
    pub backend: TcpStream,
    /// Whom the backend sees.
    pub seen: SocketAddrV4,
}

/// Listens on one address, or on all of them.
pub fn listen(host: &Namespace, address: Ipv4Addr, port: u16) -> Result<TcpListener> {
    let listener = host
        .enter(|| TcpListener::bind((address, port)))?
        .with_context(|| format!("listening on {address}:{port} in {}", host.name()))?;
    setsockopt(&listener, ReceiveTimeout, &limit())?;
    Ok(listener)
}

/// The next connection, and from whom it came.
pub fn accept(listener: &TcpListener) -> Result<(TcpStream, SocketAddrV4)> {
    let (stream, peer) = listener.accept().context("waiting for a connection")?;
    let SocketAddr::V4(peer) = peer else {
        anyhow::bail!("{peer} is not IPv4")
    };
    Ok((with_limits(stream)?, peer))
}

/// Connects from that port (0: any), though an earlier connection of it may not be forgotten yet.
pub fn connect(host: &Namespace, from: u16, to: SocketAddrV4) -> Result<TcpStream> {
    connect_as(host, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, from), to)
}

/// The same from one of the host's addresses.
pub fn connect_as(host: &Namespace, from: SocketAddrV4, to: SocketAddrV4) -> Result<TcpStream> {
    host.enter(|| {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        setsockopt(&socket, ReuseAddr, &true)?;
        // What waits for a connection is the sending side.
        setsockopt(&socket, SendTimeout, &limit())?;
        bind(socket.as_raw_fd(), &SockaddrIn::from(from))
            .with_context(|| format!("binding {from}"))?;
        connect_socket(socket.as_raw_fd(), &SockaddrIn::from(to)).map_err(std::io::Error::from)?;
        with_limits(TcpStream::from(socket))
    })?
}

/// Connects from that port, and accepts at the other end.
pub fn pair(host: &Namespace, from: u16, to: SocketAddrV4, listener: &TcpListener) -> Result<Pair> {
    let client =
        connect(host, from, to).with_context(|| format!("connecting from {from} to {to}"))?;
    let (backend, seen) = accept(listener)?;
    Ok(Pair {
        client,
        backend,
        seen,
    })
}

/// A UDP socket.
pub fn udp(host: &Namespace, address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    let socket = host
        .enter(|| UdpSocket::bind((address, port)))?
        .with_context(|| format!("binding {address}:{port}/udp in {}", host.name()))?;
    socket.set_read_timeout(Some(LIMIT))?;
    Ok(socket)
}

/// Closes by RST: what has not been sent is lost.
pub fn reset(stream: TcpStream) -> Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, Linger, &at_once)?;
    Ok(())
}

/// From now on a silence of so many seconds is broken by a keepalive.
pub fn keepalive(stream: &TcpStream, seconds: u32) -> Result<()> {
    setsockopt(stream, KeepAlive, &true)?;
    setsockopt(stream, TcpKeepIdle, &seconds)?;
    setsockopt(stream, TcpKeepInterval, &seconds)?;
    Ok(())
}

/// Sends it all.
pub fn tell(mut stream: &TcpStream, bytes: &[u8]) -> Result<()> {
    stream.write_all(bytes).context("sending")
}

/// Sends it all from a thread and reads just as much at the other end, which must be the same.
pub fn carry(from: &TcpStream, to: &TcpStream, bytes: &[u8]) -> Result<()> {
    let mut got = vec![0; bytes.len()];
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| tell(from, bytes));
        let mut to = to;
        let read = to.read_exact(&mut got).context("receiving");
        sending
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        read
    })?;
    anyhow::ensure!(
        got == bytes,
        "{} bytes came, not those that were sent",
        bytes.len()
    );
    Ok(())
}

/// Sends FIN.
pub fn close_half(stream: &TcpStream) -> Result<()> {
    stream.shutdown(Shutdown::Write).context("closing one half")
}

/// Reads to the end of the stream.
pub fn rest(mut stream: &TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .context("reading to the end")?;
    Ok(bytes)
}

fn with_limits(stream: TcpStream) -> Result<TcpStream> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn limit() -> TimeVal {
    TimeVal::new(LIMIT.as_secs() as i64, 0)
}
