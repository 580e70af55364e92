//! The plan: what one node has to do, with nothing left to look up; and the way from one plan to the next.
//!
//! - [`plan`]: the resolved plan, the only thing that comes out of `config`.
//! - [`image`]: what the maps hold, as values, and the writes that change it.
//! - [`wanted`]: a plan laid on a host: what has to change, ids staying put ([`ground`] and [`settings`]: what is the host's;
//!   [`translation`]: the same for what is translated; [`register`]: whose ids are whose; [`runs`]: the backends' order, from [`turns`] or by [`rendezvous`]; [`slots`]:
//!   where those stand; [`ids`]: maps by id; [`hand`]: what people have set).
//! - [`diff`]: what runs now and what should run, to an ordered list of map writes ([`changes`]: that order); pure.
//! - [`pattern`]: names as people ask for them.
//! - [`neighbours`]: whom the kernel should always know the way to; [`warnings`]: what will not go well on this host.
#![forbid(unsafe_code)]

mod changes;
pub mod diff;
#[cfg(test)]
mod edits;
mod error;
mod flow_ports;
mod ground;
mod hand;
mod ids;
pub mod image;
mod nat;
pub mod neighbours;
pub mod pattern;
#[expect(
    clippy::module_inception,
    reason = "the folder's first noun is the plan itself"
)]
pub mod plan;
mod register;
mod rendezvous;
pub mod reserved;
mod runs;
mod settings;
mod slots;
pub mod translation;
pub mod turns;
mod wanted;
pub mod warnings;
#[cfg(test)]
pub(crate) mod world;

pub use diff::{Difference, diff};
pub use error::Error;
pub use ids::{Ids, Names};
pub use image::{Image, MapWrite};
pub use nat::{Filtering, Nat, NatTimers, SeenAs};
pub use plan::*;
