//! What this host is: its interfaces, addresses and preconditions, followed by netlink.
//!
//! - [`machine`]: the picture of the host, and what a change of it means; pure.
//! - [`driver`]: netlink and `/proc`, in; managed neighbours, out. [`netlink`]: its messages in our words.
//! - [`rules`]: which of the kernel's own rules translate, too; pure. [`firewall`]: asks for them.
//! - [`conntrack`]: what the kernel itself has translated until now; pure.
//! - [`namespace`]: the network namespace it is.
//! - [`privilege`]: whether this process may do what the daemon does.

pub mod conntrack;
pub mod driver;
pub mod firewall;
pub mod machine;
pub mod namespace;
mod netlink;
pub mod privilege;
pub mod rules;

pub use machine::{Host, Link, Neighbour, Path};
