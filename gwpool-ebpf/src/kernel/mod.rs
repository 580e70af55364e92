//! The kernel side: the only raw pointers, every map, every helper call.
//!
//! - [`window`]: a packet of XDP or TC as the pipeline's `Packet`; [`span`]: its bytes.
//! - [`exit`]: the ways out that are helper calls.
//! - [`maps`]: the tables.
//! - [`world`] and [`translation`]: the pipeline's over them and the helpers; of it, [`established`] and [`embryonic`]: the tiers,
//!   which are [`sets`], [`routing`]: next hops, [`sockets`] and [`bound`]: which ports are this host's, [`counts`]: counters, [`desk`]: what is put
//!   down between calls.

pub mod bound;
pub mod counts;
pub mod desk;
pub mod embryonic;
pub mod established;
pub mod exit;
pub mod maps;
pub mod routing;
pub mod sets;
pub mod sockets;
pub mod span;
pub mod translation;
pub mod window;
pub mod world;
