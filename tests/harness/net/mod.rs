//! The net tier's ground: network namespaces with the seed's topology (drawn in `tests/README.md`), real servers and
//! clients in them, and the daemon on each gateway. What is made here is removed on drop, on panic, on Ctrl-C and on
//! SIGTERM; what a killed run left behind is swept by the next one. In the order of building: [`run`], [`namespace`],
//! [`site`], [`fabric`], [`nodeport`] and [`nginx`], [`client`] and [`transfer`], [`sockets`], [`wire`] and [`flood`],
//! [`gateway`] and [`hand`], [`nat_pool`], [`ledger`], [`world`], all of it, and [`crowd`], many connections in one.
//! [`inside`] makes of it a NAT's ground; [`nat`] is a suite with a ground of its own.

pub mod client;
pub mod crowd;
pub mod fabric;
pub mod flood;
pub mod gateway;
pub mod hand;
pub mod inside;
pub mod ledger;
pub mod namespace;
pub mod nat;
pub mod nat_pool;
pub mod nginx;
pub mod nodeport;
pub mod payload;
pub mod run;
pub mod site;
pub mod sockets;
pub mod stats;
pub mod transfer;
pub mod wait;
pub mod wire;
pub mod world;

use std::time::Duration;

/// For what takes milliseconds when all is well.
pub const LIMIT: Duration = Duration::from_secs(10);

/// A test for each function, once in native XDP and once at TC: `native::NAME` and `tc::NAME`.
#[macro_export]
macro_rules! in_native_and_tc {
    ($($name:ident)*) => {
        mod native {
            $(#[test]
            fn $name() -> ::anyhow::Result<()> {
                super::$name($crate::net::fabric::Datapath::Native)
            })*
        }
        mod tc {
            $(#[test]
            fn $name() -> ::anyhow::Result<()> {
                super::$name($crate::net::fabric::Datapath::Tc)
            })*
        }
    };
}
