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
use std::ops::Range;

/// The stretch for a route's run: where it already stands, or a free one, into which it is written.
pub fn place(
    installed: &Image,
    image: &mut Image,
    route: u32,
    run: &[u32],
    limits: &Limits,
) -> Result<Range<u32>, Error> {
    if run.is_empty() {
        return Ok(0..0);
    }
    if let Some(running) = installed.routes.get(&route)
        && installed.run(running) == run
    {
        return Ok(stretch(running));
    }
    let capacity = limits.entries("SLOTS").unwrap_or(limits::SLOTS);
    let mut taken: Vec<Range<u32>> = installed
        .routes
        .values()
        .chain(image.routes.values())
        .map(stretch)
        .collect();
    taken.extend(installed.replaced.iter().cloned());
    taken.sort_by_key(|range| range.start);
    let length = run.len() as u32;
    let mut first = 0;
    for range in taken {
        if range.start >= first + length {
            break;
        }
        first = first.max(range.end);
    }
    if first + length > capacity {
        return Err(Error::Full {
            table: "SLOTS",
            limit: capacity,
            key: "gwpool.limits.backends",
        });
    }
    for (index, backend) in (first..).zip(run) {
        image.set_slot(index as usize, *backend);
    }
    Ok(first..first + length)
}

/// The stretches that run now and will not after the change.
pub fn replaced(installed: &Image, image: &Image) -> Vec<Range<u32>> {
    let runs: Vec<_> = image.routes.values().map(stretch).collect();
    installed
        .routes
        .values()
        .map(stretch)
        .filter(|range| !range.is_empty() && !runs.contains(range))
        .collect()
}

fn stretch(route: &Route) -> Range<u32> {
    route.slot_first..route.slot_first + route.slot_count
}
