//! What this host is: its interfaces, addresses and preconditions, followed by netlink.
//!
//! - [`machine`]: the picture of the host, and what a change of it means; pure.
//! - [`driver`]: netlink and `/proc`, in; managed neighbours, out. [`netlink`]: its messages in our words.
//! - [`privilege`]: whether this process may do what the daemon does.

pub mod driver;
pub mod machine;
mod netlink;
pub mod privilege;

pub use machine::{Host, Link, Neighbour, Path};
