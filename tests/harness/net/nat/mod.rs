//! The NAT conformance suite: the checklist's rows, tried with real sockets in a world that all rows of a subject
//! share, once with gwpool and once with nftables in its place. [`ground`] is the topology, [`subject`] who translates
//! and by which settings, [`timers`] what time is divided by, [`witness`] the capture that must stay empty, [`probe`]
//! what rows have in common, [`row`] and [`rows`] the checklist, [`suite`] what runs it and prints the table.

pub mod ground;
mod probe;
pub mod row;
pub mod rows;
pub mod subject;
pub mod suite;
pub mod timers;
pub mod witness;
