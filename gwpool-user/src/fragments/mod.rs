//! Fragments that came before their first one: the programs cannot know whose they are. They are kept here until that
//! one has been seen ([`machine`]), then sent in again by the interface they came in by ([`driver`]).

pub mod driver;
pub mod machine;
