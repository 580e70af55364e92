//! Many packets at once: made byte by byte, sent by a raw socket in batches. What floods are made of, and how a
//! connection tracking table is filled.

use super::namespace::Namespace;
use super::wire::Packet;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, SockaddrIn, sendmmsg,
    setsockopt, socket, sockopt::SndBufForce,
};
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Packets handed to the kernel in one call.
const BATCH: usize = 512;

/// Sends from one host, by its routing.
pub struct Flood {
    socket: OwnedFd,
    /// Packets a second, at most; `None`: as fast as it goes.
    rate: Option<u32>,
}

impl Flood {
    /// Opens it.
    pub fn from(host: &Namespace) -> Result<Flood> {
        let (family, kind) = (AddressFamily::Inet, SockType::Raw);
        let socket =
            host.enter(|| socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw))??;
        setsockopt(&socket, SndBufForce, &(16 << 20))?;
        Ok(Flood { socket, rate: None })
    }

    /// So many packets a second, and no more: what a flood does to tables is seen only where it leaves the CPUs to others.
    pub fn paced(self, rate: u32) -> Flood {
        Flood {
            rate: Some(rate),
            ..self
        }
    }

    /// Sends every packet, in this order; gives their number. What the way to the first hop loses is not seen here.
    pub fn send(&self, packets: impl IntoIterator<Item = Vec<u8>>) -> Result<u64> {
        let mut packets = packets.into_iter();
        let (begin, mut sent) = (Instant::now(), 0);
        loop {
            let batch: Vec<Vec<u8>> = packets.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(sent);
            }
            self.batch(&batch)?;
            sent += batch.len() as u64;
            if let Some(rate) = self.rate {
                let due = Duration::from_secs(1).mul_f64(sent as f64 / f64::from(rate));
                std::thread::sleep(due.saturating_sub(begin.elapsed()));
            }
        }
    }

    fn batch(&self, mut batch: &[Vec<u8>]) -> Result<()> {
        while !batch.is_empty() {
            let slices: Vec<[IoSlice; 1]> =
                batch.iter().map(|packet| [IoSlice::new(packet)]).collect();
            let addresses: Vec<_> = batch
                .iter()
                .map(|packet| Some(destination(packet)))
                .collect();
            let mut headers = MultiHeaders::preallocate(batch.len(), None);
            let flags = MsgFlags::empty();
            let taken = sendmmsg(
                self.socket.as_raw_fd(),
                &mut headers,
                &slices,
                &addresses,
                [],
                flags,
            );
            let taken = match taken {
                Ok(results) => results.count(),
                // Nowhere to put it for the moment.
                Err(Errno::ENOBUFS | Errno::EAGAIN) => 0,
                Err(error) => return Err(error).context("sending a batch of packets"),
            };
            batch = &batch[taken..];
        }
        Ok(())
    }
}

fn destination(packet: &[u8]) -> SockaddrIn {
    let address = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
    SockaddrIn::from(SocketAddrV4::new(address, 0))
}

/// A packet's place in a flood gives its source.
pub struct Spoofed {
    packet: Packet,
}

impl Spoofed {
    /// Reads a golden case's frame text; its source is a placeholder.
    pub fn of(text: &str) -> Result<Spoofed> {
        Ok(Spoofed {
            packet: Packet::parse(text)?,
        })
    }

    /// From 100.64.0.0/10 (RFC 6598), which is nobody's here; each a source and a port of its own.
    pub fn from(&self, number: usize) -> Vec<u8> {
        self.packet
            .clone()
            .with_source(
                Ipv4Addr::from_bits(0x6440_0000 + (number % 0x3f_ffff) as u32 + 1),
                1024 + (number % 60_000) as u16,
            )
            .0
    }
}

/// Fills the host's connection tracking table with connections that it will not give up: TCP, seen both ways. Its
/// rules must look at connection states already. What arrives of it at the loopback interface is dropped.
pub fn fill_conntrack(host: &Namespace) -> Result<()> {
    const RULES: &str = "table ip fill {
        chain prerouting { type filter hook prerouting priority mangle; iifname lo tcp dport 1-9 drop; tcp sport 1-9 iifname lo drop; }
    }";
    let read = |name: &str| -> Result<u64> {
        let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
        Ok(host.run("cat", &[&path])?.trim().parse()?)
    };
    host.nft(RULES)?;
    let (flood, room) = (Flood::from(host)?, read("max")?);
    // There, back, and there again: only then an entry is assured, and does not make way for a new one.
    let exchange = |number: u64| {
        let client = 1024 + (number % 60_000) as u16;
        let server = 1 + (number / 60_000) as u16;
        [(client, server), (server, client), (client, server)]
    };
    ensure!(
        room <= 9 * 60_000,
        "a table of {room} is larger than this fills"
    );
    // What ends meanwhile of the host's own leaves room for a few more.
    let packets = (0..room + 1000).flat_map(exchange);
    let refused = flood
        .send(packets.map(|(from, to)| segment(from, to)))
        .err();
    let errno = refused.as_ref().and_then(|error| error.downcast_ref());
    ensure!(
        errno == Some(&Errno::EPERM),
        "wanted to be refused, found {refused:?}"
    );
    let count = read("count")?;
    ensure!(count + 10 > room, "{count} of {room} entries are taken");
    Ok(())
}

/// An ACK over loopback. No checksum: connection tracking looks at none that leaves.
fn segment(from: u16, to: u16) -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1,
    ];
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    packet
}
