//! The net tier's ground: network namespaces with the seed's topology (drawn in `tests/README.md`), real servers and
//! clients in them, and the daemon on each gateway. What is made here is removed on drop, on panic, on Ctrl-C and on
//! SIGTERM; what a killed run left behind is swept by the next one. In the order of building: [`run`], [`namespace`],
//! [`site`], [`fabric`], [`nodeport`], [`client`] and [`transfer`], [`gateway`], [`ledger`], and [`world`], all of it.

pub mod client;
pub mod fabric;
pub mod gateway;
pub mod ledger;
pub mod namespace;
pub mod nodeport;
pub mod payload;
pub mod run;
pub mod site;
pub mod stats;
pub mod transfer;
pub mod wait;
pub mod world;

use std::time::Duration;

/// For what takes milliseconds when all is well.
pub const LIMIT: Duration = Duration::from_secs(10);
