//! What the tests stand on: `net` is the net tier's, the others are the host and kernel tiers'.
//! `tests/README.md` says what each tier needs and shows.

pub mod bed;
pub mod case;
pub mod crowd;
pub mod frames;
pub mod kernel;
pub mod model;
pub mod mutants;
pub mod net;
pub mod ports;
pub mod races;
pub mod random;
pub mod routing;
pub mod scale;
pub mod subject;
pub mod trial;
