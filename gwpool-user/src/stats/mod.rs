//! What the daemon answers about itself: one snapshot, as JSON over a socket and as a table for people.
//!
//! - [`snapshot`]: the words and shapes that dashboards hang on; pure.
//! - [`fill`]: how full everything is; [`translation`]: what the NAT does; pure.
//! - [`table`]: the same for a person; pure.
//! - [`driver`]: the socket, served by the daemon and asked by the command line.

pub mod driver;
pub mod fill;
pub mod snapshot;
pub mod table;
mod translation;
