//! Where a route's run of backend ids stands in the array `SLOTS`.
//!
//! A run that changes is written to a free stretch and the route then points there: a packet reads either the old
//! run or the new one. So no stretch is used that runs, or that ran until the change before this one.
#![forbid(unsafe_code)]

use super::error::Error;
use super::image::Image;
use super::plan::Limits;
use gwpool_common::limits;
use gwpool_common::route::Route;
use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;

/// The free stretches, found once for all runs of a change.
#[derive(Clone, Debug)]
pub struct Free {
    /// By length, then by where they begin.
    stretches: BTreeSet<(u32, u32)>,
    capacity: u32,
}

impl Free {
    /// What nothing installed uses.
    pub fn of(installed: &Image, limits: &Limits) -> Self {
        let capacity = limits.entries("SLOTS").unwrap_or(limits::SLOTS);
        let mut taken: Vec<Range<u32>> = installed.routes.values().map(stretch).collect();
        taken.extend(installed.replaced.iter().cloned());
        taken.sort_by_key(|range| range.start);
        let mut stretches = BTreeSet::new();
        let mut first = 0;
        for range in taken.into_iter().chain(iter::once(capacity..capacity)) {
            if range.start > first {
                stretches.insert((range.start - first, first));
            }
            first = first.max(range.end);
        }
        Free {
            stretches,
            capacity,
        }
    }

    /// Takes the front of the smallest stretch that is long enough.
    pub fn take(&mut self, length: u32) -> Result<Range<u32>, Error> {
        let found = self.stretches.range((length, 0)..).next().copied();
        let Some((had, first)) = found else {
            return Err(Error::Full {
                table: "SLOTS",
                limit: self.capacity,
                key: "gwpool.limits.backends",
            });
        };
        self.stretches.remove(&(had, first));
        if had > length {
            self.stretches.insert((had - length, first + length));
        }
        Ok(first..first + length)
    }
}

/// Where a route's run stands.
pub fn stretch(route: &Route) -> Range<u32> {
    route.slot_first..route.slot_first + route.slot_count
}

#[cfg(test)]
mod tests;
