//! The plan: what one node has to do, with nothing left to look up; and the way from one plan to the next.
//!
//! - [`plan`]: the resolved plan, the only thing that comes out of `config`.
//! - [`image`]: what the maps hold, as values, and the writes that change it.
//! - [`wanted`]: a plan laid on a host: the maps as they should be, ids staying put ([`settings`]; [`turns`]: weights to runs of
//!   backends; [`slots`]: where those stand).
//! - [`diff`]: what runs now and what should run, to an ordered list of map writes; pure.
//! - [`neighbours`]: whom the kernel should always know the way to; [`warnings`]: what will not go well on this host.
#![forbid(unsafe_code)]

pub mod diff;
mod error;
pub mod image;
pub mod neighbours;
#[expect(
    clippy::module_inception,
    reason = "the folder's first noun is the plan itself"
)]
pub mod plan;
mod settings;
mod slots;
pub mod turns;
mod wanted;
pub mod warnings;
#[cfg(test)]
pub(crate) mod world;

pub use diff::{Difference, diff};
pub use error::Error;
pub use image::{Image, MapWrite};
pub use plan::*;
