//! What this host is: its interfaces, addresses and preconditions, followed by netlink.
//!
//! - [`machine`]: the picture of the host, and what a change of it means; pure.
//! - [`driver`]: netlink and `/proc`, in; managed neighbours, out.

pub mod driver;
pub mod machine;

pub use machine::{Host, Link, Neighbour, Path};
