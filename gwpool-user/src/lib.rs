//! The daemon and command line of gwpool.
//!
//! A config value walks `config` (YAML to plan), `plan` (plan to map writes), `datapath` (writes to maps). What the
//! host is (addresses, links, routes) comes by `host`; what the programs counted leaves by `stats`.
//! Fragments that came too early are kept by `fragments`; who asks for single flows is answered by `flows`; mappings are logged by `journal`.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod datapath;
pub mod flows;
pub mod fragments;
pub mod host;
pub mod journal;
pub mod plan;
pub mod stats;
