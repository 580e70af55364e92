//! The plan: what one node has to do, with nothing left to look up; and the way from one plan to the next.
//!
//! - [`plan`]: the resolved plan, the only thing that comes out of `config`.
//! - [`diff`]: what runs now and what should run, to an ordered list of map writes; pure.

pub mod diff;
#[allow(clippy::module_inception, reason = "the folder's first noun is the plan itself")]
pub mod plan;

pub use plan::*;
