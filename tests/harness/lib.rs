//! What the tests stand on. Folders and files are the tiers' own; see `tests/README.md`.

pub mod bed;
pub mod case;
pub mod frames;
pub mod kernel;
pub mod model;
pub mod net;
pub mod random;
pub mod subject;
