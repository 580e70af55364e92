//! The contract: bytes that the programs in the kernel and the daemon both see.
//!
//! Keys and values of every map, the limits both sides keep, and every way a packet can end. All types are
//! `repr(C)`, without padding, addresses and ports in network order, everything else in host order.
//! There is no behaviour here beyond names and constants: the pipeline is `gwpool-ebpf`, the daemon `gwpool-user`.
#![cfg_attr(not(feature = "user"), no_std)]

pub mod answers;
pub mod flow;
pub mod fragment;
pub mod limits;
pub mod nat;
pub mod net;
#[cfg(feature = "user")]
mod pod;
pub mod reason;
pub mod route;

/// The version of everything in this crate, part of every pin's path: a daemon adopts only pins of its own version.
/// Whoever changes the shape or the meaning of a map raises it.
pub const CONTRACT_VERSION: u32 = 6;
