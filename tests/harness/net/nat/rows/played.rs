//! A TCP connection of which neither end is a kernel's: both sides' segments are made by the test, and seen by packet
//! sockets. For what kernels do not do: answer late, fall silent, go on after a reset.

use super::super::ground::{C1, E, Ground};
use super::super::probe::comes;
use crate::net::namespace::Namespace;
use crate::net::wire::{Packet, Tap};
use anyhow::Result;
use std::cell::Cell;
use std::net::SocketAddrV4;

/// Sequence numbers to begin with.
const INSIDE: u32 = 1000;
const OUTSIDE: u32 = 5000;

/// A connection from C1 to E, both of whose kernels are deaf to these ports.
pub struct Played {
    c1: Namespace,
    e: Namespace,
    inside: SocketAddrV4,
    outside: SocketAddrV4,
    /// As whom the inside is seen.
    seen: SocketAddrV4,
    at_c1: Tap,
    at_e: Tap,
    /// What comes next from each side.
    next: [Cell<u32>; 2],
}

impl Played {
    /// The inside has sent a SYN, and E has seen it.
    pub fn opens(ground: &Ground, inside: u16, outside: u16) -> Result<Played> {
        let inside = SocketAddrV4::new(C1, inside);
        let outside = SocketAddrV4::new(E, outside);
        let (at_c1, at_e) = (Tap::open(&ground.c1)?, Tap::open(&ground.e)?);
        Packet::parse(&format!("tcp {inside} > {outside} S seq={INSIDE}"))?.send(&ground.c1)?;
        let syn = at_e.next("the SYN", |packet| packet.is_tcp(outside.port(), 0x02))?;
        let seen = SocketAddrV4::new(syn.source(), syn.ports().0);
        Ok(Played {
            c1: ground.c1.clone(),
            e: ground.e.clone(),
            inside,
            outside,
            seen,
            at_c1,
            at_e,
            next: [Cell::new(INSIDE + 1), Cell::new(OUTSIDE)],
        })
    }

    /// The handshake is done.
    pub fn stands(ground: &Ground, inside: u16, outside: u16) -> Result<Played> {
        let played = Played::opens(ground, inside, outside)?;
        played.outside_answers()?;
        let port = played.inside.port();
        played
            .at_c1
            .next("the SYN+ACK", |packet| packet.is_tcp(port, 0x12))?;
        played.inside_sends("A", 0)?;
        played.inside_sends("PA", 10)?;
        played.outside_sends("PA", 10)?;
        played
            .at_c1
            .next("data", |packet| packet.is_tcp(port, 0x18))?;
        Ok(played)
    }

    /// Both sides have sent their FIN, and the last one is acknowledged.
    pub fn closed(ground: &Ground, inside: u16, outside: u16) -> Result<Played> {
        let played = Played::stands(ground, inside, outside)?;
        played.inside_sends("FA", 0)?;
        played.outside_sends("FA", 0)?;
        played
            .at_c1
            .next("the FIN", |packet| packet.is_tcp(inside, 0x11))?;
        played.inside_sends("A", 0)?;
        played
            .at_e
            .next("the last ACK", |packet| packet.is_tcp(outside, 0x10))?;
        Ok(played)
    }

    /// The outside has sent a reset, just the one that its peer would believe.
    pub fn reset(ground: &Ground, inside: u16, outside: u16) -> Result<Played> {
        let played = Played::stands(ground, inside, outside)?;
        played.inside_sends("A", 0)?;
        played.outside_sends("R", 0)?;
        played
            .at_c1
            .next("the reset", |packet| packet.is_tcp(inside, 0x04))?;
        Ok(played)
    }

    /// The SYN+ACK, late.
    pub fn outside_answers(&self) -> Result<()> {
        self.outside_sends("SA", 0)
    }

    /// Data from outside.
    pub fn outside_speaks(&self) -> Result<()> {
        self.at_c1.drain()?;
        self.outside_sends("PA", 10)
    }

    /// Data from inside, seen outside.
    pub fn inside_speaks(&self) -> Result<()> {
        self.at_e.drain()?;
        self.inside_sends("PA", 10)?;
        let port = self.outside.port();
        self.at_e
            .next("data", |packet| packet.is_tcp(port, 0x18))
            .map(drop)
    }

    /// Whether what the outside sent last gets in.
    pub fn inside_sees(&self) -> Result<bool> {
        let ports = (self.outside.port(), self.inside.port());
        let is = |packet: &Packet| packet.protocol() == 6 && packet.ports() == ports;
        Ok(comes(&self.at_c1, is)?.is_some())
    }

    fn inside_sends(&self, flags: &str, length: u32) -> Result<()> {
        let (from, to) = (self.inside, self.outside);
        self.send(&self.c1, (from, to), (0, flags), length)
    }

    fn outside_sends(&self, flags: &str, length: u32) -> Result<()> {
        let (from, to) = (self.outside, self.seen);
        self.send(&self.e, (from, to), (1, flags), length)
    }

    fn send(
        &self,
        host: &Namespace,
        (from, to): (SocketAddrV4, SocketAddrV4),
        (side, flags): (usize, &str),
        length: u32,
    ) -> Result<()> {
        let (seq, ack) = (self.next[side].get(), self.next[1 - side].get());
        let text = format!("tcp {from} > {to} {flags} seq={seq} ack={ack} len={length}");
        Packet::parse(&text)?.send(host)?;
        let counts = u32::from(flags.contains(['S', 'F'])) + length;
        self.next[side].set(seq + counts);
        Ok(())
    }
}
