//! What the pipeline may ask of the world where inside hosts are translated: the part of [`crate::world::World`] that a
//! host without them has no tables for.

use crate::family::Family;
use crate::mapping::Kept;
use crate::world::{Refused, Step};
use gwpool_common::flow::FlowKey;
use gwpool_common::nat::{End, Mapped, Mapping, Nat, Permission};

/// A socket of this host that a packet would reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// None.
    None,
    /// One that takes packets from anybody.
    Open,
    /// One that speaks with the packet's sender.
    Connected,
}

/// What the pipeline asks there.
pub trait Translation<F: Family> {
    /// What the daemon has set of translation.
    fn nat(&self) -> &Nat<F::Address>;
    /// The other end of a mapping.
    fn mapping(&self, end: &End<F::Address>) -> Option<Mapping<F::Address>>;
    /// Inserts one end, unless it is taken.
    fn map(&mut self, end: &End<F::Address>, mapping: &Mapping<F::Address>) -> Result<(), Refused>;
    /// The mapping of an inside end was seen in this tick; false: there is none.
    fn touch(&mut self, inside: &End<F::Address>, now: u16) -> bool;
    /// Removes one end, if it is there.
    fn unmap(&mut self, end: &End<F::Address>);
    /// A word of `PORTS`.
    fn word(&self, index: u32) -> u64;
    /// Sets bits of it.
    fn set(&mut self, index: u32, bits: u64);
    /// The word of `RESERVED` in the same place.
    fn reserved(&self, index: u32) -> u64;
    /// The tick in which the permission was last given.
    fn permitted(&self, permission: &Permission<F::Address>) -> Option<u16>;
    /// Gives it in this tick.
    fn permit(&mut self, permission: &Permission<F::Address>);
    /// Mappings that an inside host holds.
    fn subscriber(&self, address: &F::Address) -> u32;
    /// One more, or less.
    fn move_subscriber(&mut self, address: &F::Address, by: Step);
    /// Who of this host's sockets would get a TCP or UDP packet with this key.
    fn socket(&mut self, key: &FlowKey<F::Address>) -> Socket;
    /// A socket of this host has bound this port.
    fn bound(&self, end: &End<F::Address>) -> bool;
    /// Tells the daemon's log.
    fn log(&mut self, mapped: &Mapped<F::Address>);
    /// Has [`crate::mapping::keep`] done after this walk.
    fn keep(&mut self, kept: &Kept<F::Address>);
}
