//! The mapping log (`gwpool.nat.log`): who was seen as whom, from when to when (RFC 6888 REQ-12).
//!
//! [`machine`]: what is to be said; [`driver`]: from the programs' ring buffer and the sweep into the daemon's log.

pub mod driver;
pub mod machine;
