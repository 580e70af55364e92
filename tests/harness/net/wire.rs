//! Packets as they are: what comes in at a host, seen by a packet socket beside its stack, and packets made byte by
//! byte, sent by a raw socket. For what no program's socket says (time to live, options) or sends (one fragment).

use super::LIMIT;
use super::namespace::Namespace;
use super::wait::wait_for;
use crate::frames::{Frame, checksum};
use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto,
    setsockopt, socket, sockopt::RcvBufForce,
};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

/// An IPv4 packet.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet(pub Vec<u8>);

/// Sees the IPv4 packets that come in at a host, by whatever interface.
pub struct Tap(OwnedFd);

impl Tap {
    /// Sees everything from now on.
    pub fn open(host: &Namespace) -> Result<Tap> {
        let (family, kind) = (AddressFamily::Packet, SockType::Datagram);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Bound to one protocol it sees what comes in, not what goes out.
        let tap = host.enter(|| socket(family, kind, flags, SockProtocol::EthIp))??;
        setsockopt(&tap, RcvBufForce, &(16 << 20))?;
        Ok(Tap(tap))
    }

    /// The next packet of that kind.
    pub fn next(&self, what: &str, is: impl Fn(&Packet) -> bool) -> Result<Packet> {
        wait_for(what, LIMIT, || {
            while let Some(packet) = self.read()? {
                if is(&packet) {
                    return Ok(packet);
                }
            }
            anyhow::bail!("no such packet")
        })
    }

    /// What has come since the last look.
    pub fn drain(&self) -> Result<Vec<Packet>> {
        let mut packets = Vec::new();
        while let Some(packet) = self.read()? {
            packets.push(packet);
        }
        Ok(packets)
    }

    pub(super) fn read(&self) -> Result<Option<Packet>> {
        let mut buffer = vec![0; 1 << 16];
        match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(Packet(buffer)))
            }
            Err(nix::errno::Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error).context("reading a packet socket"),
        }
    }
}

impl Packet {
    /// Reads a golden case's frame text, without its Ethernet header.
    pub fn parse(text: &str) -> Result<Packet> {
        Ok(Packet(Frame::parse(text)?.bytes().split_off(14)))
    }

    /// The same packet with these IP options, a multiple of four bytes.
    pub fn with_options(mut self, options: &[u8]) -> Packet {
        let header = self.header();
        self.0.splice(header..header, options.iter().copied());
        self.0[0] = 0x40 | ((header + options.len()) / 4) as u8;
        let total = self.0.len() as u16;
        self.0[2..4].copy_from_slice(&total.to_be_bytes());
        self.0[10..12].fill(0);
        let check = checksum(&self.0[..header + options.len()]);
        self.0[10..12].copy_from_slice(&check.to_be_bytes());
        self
    }

    /// The packet with another source, its checksum anew.
    pub fn with_source(mut self, address: Ipv4Addr, port: u16) -> Packet {
        let header = self.header();
        self.0[12..16].copy_from_slice(&address.octets());
        self.0[header..header + 2].copy_from_slice(&port.to_be_bytes());
        let at = header + if self.protocol() == 6 { 16 } else { 6 };
        self.0[at..at + 2].fill(0);
        let length = (self.0.len() - header) as u16;
        let mut bytes = self.0[12..20].to_vec();
        bytes.extend([0, self.protocol()]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(self.transport());
        let check = checksum(&bytes);
        self.0[at..at + 2].copy_from_slice(&check.to_be_bytes());
        self
    }

    /// The first fragment of it, with so many bytes after the header (a multiple of eight), or the rest.
    pub fn fragment_of(&self, bytes: usize, part: usize) -> Packet {
        const MORE_FRAGMENTS: u16 = 0x2000;
        let (header, cut) = (self.header(), self.header() + bytes);
        let (payload, fragment) = if part == 0 {
            (&self.0[header..cut], MORE_FRAGMENTS)
        } else {
            (&self.0[cut..], (bytes / 8) as u16)
        };
        let mut packet = self.0[..header].to_vec();
        packet.extend(payload);
        let total = packet.len() as u16;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[6..8].copy_from_slice(&fragment.to_be_bytes());
        Packet(packet)
    }

    /// Sends it from that host; the kernel sets the header's checksum.
    pub fn send(&self, host: &Namespace) -> Result<()> {
        let (family, kind) = (AddressFamily::Inet, SockType::Raw);
        let raw =
            host.enter(|| socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw))??;
        let to = SockaddrIn::from(SocketAddrV4::new(self.destination(), 0));
        sendto(raw.as_raw_fd(), &self.0, &to, MsgFlags::empty())
            .with_context(|| format!("sending {self:?} from {}", host.name()))?;
        Ok(())
    }

    /// Where it comes from.
    pub fn source(&self) -> Ipv4Addr {
        self.address(12)
    }

    /// Where it goes.
    pub fn destination(&self) -> Ipv4Addr {
        self.address(16)
    }

    /// DSCP and ECN.
    pub fn tos(&self) -> u8 {
        self.0[1]
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.0[8]
    }

    /// 6 TCP, 17 UDP, 1 ICMP.
    pub fn protocol(&self) -> u8 {
        self.0[9]
    }

    /// "Don't fragment", "more fragments" and the offset, as they stand in the header.
    pub fn fragment(&self) -> u16 {
        self.word(6)
    }

    /// IP options.
    pub fn options(&self) -> &[u8] {
        &self.0[20..self.header()]
    }

    /// From the transport header on.
    pub fn transport(&self) -> &[u8] {
        &self.0[self.header()..]
    }

    /// Source and destination port.
    pub fn ports(&self) -> (u16, u16) {
        (self.word(self.header()), self.word(self.header() + 2))
    }

    /// TCP's flags.
    pub fn flags(&self) -> u8 {
        self.transport().get(13).copied().unwrap_or_default()
    }

    /// TCP to this port with exactly these flags.
    pub fn is_tcp(&self, port: u16, flags: u8) -> bool {
        self.protocol() == 6 && self.ports().1 == port && self.flags() == flags
    }

    /// The IP header's checksum: "right" or "wrong".
    pub fn header_sum(&self) -> &'static str {
        sum(&self.0[..self.header()])
    }

    /// ICMP's checksum: "right" or "wrong".
    pub fn icmp_sum(&self) -> &'static str {
        sum(self.transport())
    }

    /// TCP's checksum: "right" or "wrong".
    pub fn tcp_sum(&self) -> &'static str {
        let length = self.transport().len() as u16;
        let mut bytes = self.0[12..20].to_vec();
        bytes.extend([0, self.protocol()]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(self.transport());
        sum(&bytes)
    }

    /// UDP's checksum: "right", "wrong" or "none".
    pub fn udp_sum(&self) -> &'static str {
        if self.word(self.header() + 6) == 0 {
            return "none";
        }
        let mut bytes = self.0[12..20].to_vec();
        bytes.extend([0, self.protocol(), self.transport()[4], self.transport()[5]]);
        bytes.extend(self.transport());
        sum(&bytes)
    }

    fn header(&self) -> usize {
        usize::from(self.0[0] & 15) * 4
    }

    fn word(&self, at: usize) -> u16 {
        match self.0.get(at..at + 2) {
            Some(bytes) => u16::from_be_bytes([bytes[0], bytes[1]]),
            None => 0,
        }
    }

    fn address(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::new(self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3])
    }
}

/// Bytes with their checksum among them sum up to nothing.
fn sum(bytes: &[u8]) -> &'static str {
    if checksum(bytes) == 0 {
        "right"
    } else {
        "wrong"
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.ports();
        let (source, destination) = (self.source(), self.destination());
        write!(
            out,
            "protocol {} {source}:{from} > {destination}:{to} flags {:#04x}",
            self.protocol(),
            self.flags()
        )
    }
}
