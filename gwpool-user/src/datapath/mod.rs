//! The programs in the kernel and their maps: loaded, filled, attached, pinned, swept and read.
//!
//! - [`loader`]: the object into the kernel, maps adopted; [`maps`]: typed handles.
//! - [`apply`]: maps to an image of the plan, and map writes to maps ([`tables`], [`batch`]: many entries at a time).
//! - [`mode`]: which way of attaching an interface gets; [`attach`]: the links; [`pins`]: where they outlive the daemon;
//!   [`left`]: what is translated by them; [`bound`]: those about this host's own ports; [`inherit`]: what the kernel
//!   translated before.
//! - [`flows`]: the tables walked; [`halves`]: which entries are one flow; [`expiry`] and [`sweep`]: what
//!   is over, and its removal; [`mappings`] and [`release`]: the same of mappings; [`reserve`]: ports they never get.
//! - [`census`]: how many flows there are; [`loads`]: the programs are told; [`counters`]: what they counted.

mod apply;
pub mod attach;
mod batch;
pub mod bound;
pub mod census;
mod counters;
mod error;
pub mod expiry;
pub mod flows;
mod halves;
pub mod inherit;
pub mod left;
pub mod loader;
mod loads;
mod mapped;
pub mod mappings;
pub mod maps;
pub mod mode;
pub mod pins;
pub mod release;
pub mod reserve;
pub mod sets;
pub mod sweep;
pub mod tables;
pub mod tier;

pub use error::Error;
pub use loader::{Datapath, OBJECT};
