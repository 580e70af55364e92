//! `gwpool-user flows`: the flows and mappings there are, those that come and go, and the removal of some.
//!
//! - [`row`]: one flow or mapping as the tables have it; [`filter`]: which of them are meant; [`entry`]: as people and
//!   programs read it; [`difference`]: what has come and gone between two looks; all pure.
//! - [`driver`]: the tables walked for whoever asks, at the pace at which that one reads.

pub mod difference;
pub mod driver;
pub mod entry;
pub mod filter;
pub mod row;
