//! What the model answers where inside hosts are translated.

use super::Model;
use gwpool_common::flow::FlowKey;
use gwpool_common::nat::{End, Mapped, Mapping, Nat, Permission};
use gwpool_common::net::V4;
use gwpool_ebpf::family::Ipv4;
use gwpool_ebpf::mapping::{self, Kept};
use gwpool_ebpf::translation::{Socket, Translation};
use gwpool_ebpf::world::{Refused, Step, World as _};

impl Translation<Ipv4> for Model {
    fn nat(&self) -> &Nat<V4> {
        &self.image.nat
    }

    fn mapping(&self, end: &End<V4>) -> Option<Mapping<V4>> {
        self.mappings.get(end).copied()
    }

    fn map(&mut self, end: &End<V4>, mapping: &Mapping<V4>) -> Result<(), Refused> {
        if self.mappings.contains_key(end) {
            return Err(Refused::Taken);
        }
        self.mappings.insert(*end, *mapping);
        Ok(())
    }

    fn touch(&mut self, inside: &End<V4>, now: u16) -> bool {
        let mapping = self.mappings.get_mut(inside);
        mapping.map(|mapping| mapping.seen = now).is_some()
    }

    fn unmap(&mut self, end: &End<V4>) {
        self.mappings.remove(end);
    }

    fn word(&self, index: u32) -> u64 {
        self.ports.get(&index).copied().unwrap_or_default()
    }

    fn set(&mut self, index: u32, bits: u64) {
        *self.ports.entry(index).or_default() |= bits;
    }

    fn reserved(&self, index: u32) -> u64 {
        self.reserved.get(&index).copied().unwrap_or_default()
    }

    fn permitted(&self, permission: &Permission<V4>) -> Option<u16> {
        self.permissions.get(permission).copied()
    }

    fn permit(&mut self, permission: &Permission<V4>) {
        let now = self.now();
        self.permissions.insert(*permission, now);
    }

    fn subscriber(&self, address: &V4) -> u32 {
        self.subscribers.get(address).map_or(0, |held| held.flows())
    }

    fn move_subscriber(&mut self, address: &V4, by: Step) {
        let held = self.subscribers.entry(*address).or_default();
        held.moved = match by {
            Step::Up => held.moved.wrapping_add(1),
            Step::Down => held.moved.wrapping_sub(1),
        };
    }

    fn socket(&mut self, _: &FlowKey<V4>) -> Socket {
        Socket::None
    }

    fn bound(&self, _: &End<V4>) -> bool {
        false
    }

    fn log(&mut self, mapped: &Mapped<V4>) {
        self.logged.push(*mapped);
    }

    fn keep(&mut self, kept: &Kept<V4>) {
        mapping::keep::<Ipv4, Model>(self, kept);
    }
}
