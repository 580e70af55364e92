//! The net tier's ground: network namespaces with the seed's topology, real servers and clients in them, and the
//! daemon on each gateway. `tests/README.md` draws it. What is made here is removed on drop, on panic, on Ctrl-C and
//! SIGTERM; what a killed run left behind is swept by the next one.
//!
//! In the order of building: [`run`] (who owns what, and its removal), [`namespace`], [`site`] (names and places),
//! [`fabric`] (links and offloads), [`nodeport`] and [`payload`] (what answers), [`client`] and [`transfer`] (what asks),
//! [`gateway`] and [`stats`] (the daemon), [`ledger`] (the peers' own counts), [`world`] (all of it, up).

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
