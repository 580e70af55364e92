//! What the tests stand on. Folders and files are the tiers' own; see `tests/README.md`.

pub mod net;
