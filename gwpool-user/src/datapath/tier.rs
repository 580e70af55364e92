//! Either tier of flows: what lists flows need not know which it is.

use super::flows::Flows;
use super::sets::Sets;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Flows that nothing has proved.
    Embryonic,
    /// Those that nothing evicts.
    Established,
}

impl Flows {
    /// Its entries.
    pub fn tier(&self, tier: Tier) -> &Sets {
        match tier {
            Tier::Embryonic => &self.embryonic,
            Tier::Established => &self.established,
        }
    }
}
