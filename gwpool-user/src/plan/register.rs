//! Which ids are whose: the backends that each route has had, and the ids that nobody has.
//!
//! Found once for a change, in two passes over what is installed, and only if the change needs an id.
#![forbid(unsafe_code)]

use super::error::Error;
use super::image::Image;
use super::plan::Limits;
use gwpool_common::limits;
use gwpool_common::net::V4;
use gwpool_common::route::Backend;

/// Ids in use, and the search for others.
#[derive(Debug)]
pub struct Register<'a> {
    installed: &'a Image,
    /// Where each route's backends begin in `backends`; one entry more than routes.
    begins: Vec<u32>,
    backends: Vec<u32>,
    next_backend: u32,
    next_route: u32,
}

impl<'a> Register<'a> {
    /// Of what is installed.
    pub fn of(installed: &'a Image) -> Self {
        let routes = || installed.backends.values().map(|backend| backend.route);
        let end = routes().max().unwrap_or(0) as usize + 1;
        let mut begins = vec![0u32; end + 1];
        for route in routes() {
            begins[route as usize + 1] += 1;
        }
        for route in 0..end {
            begins[route + 1] += begins[route];
        }
        let mut fills = begins.clone();
        let mut backends = vec![0; installed.backends.len()];
        for (id, backend) in installed.backends.iter() {
            let fill = &mut fills[backend.route as usize];
            backends[*fill as usize] = *id;
            *fill += 1;
        }
        Register {
            installed,
            begins,
            backends,
            next_backend: 1,
            next_route: 1,
        }
    }

    /// The backends that name this route, retired ones included.
    pub fn of_route(&self, route: u32) -> &[u32] {
        let bounds = self.begins.get(route as usize..route as usize + 2);
        bounds.map_or(&[], |bounds| {
            &self.backends[bounds[0] as usize..bounds[1] as usize]
        })
    }

    /// The ids of these backends of one route: those that they have, or else the lowest free ones.
    pub fn pool(
        &mut self,
        route: u32,
        wanted: &[Backend<V4>],
        limits: &Limits,
    ) -> Result<Vec<u32>, Error> {
        let place = |backend: &Backend<V4>| (backend.address, backend.port);
        let mut known: Vec<_> = self
            .of_route(route)
            .iter()
            .map(|id| (place(&self.installed.backends[id]), *id))
            .collect();
        known.sort_unstable();
        let mut taken = vec![false; known.len()];
        let mut pool = Vec::with_capacity(wanted.len());
        for backend in wanted {
            let first = known.partition_point(|(other, _)| *other < place(backend));
            let same = known[first..]
                .iter()
                .take_while(|(other, _)| *other == place(backend))
                .count();
            match (first..first + same).find(|index| !taken[*index]) {
                Some(index) => {
                    taken[index] = true;
                    pool.push(known[index].1);
                }
                None => pool.push(self.new_backend(limits)?),
            }
        }
        Ok(pool)
    }

    fn new_backend(&mut self, limits: &Limits) -> Result<u32, Error> {
        let limit = limits.backends.min(limits::BACKENDS_MAX - 1);
        let id = (self.next_backend..=limit)
            .find(|id| !self.installed.backends.contains_key(id))
            .ok_or(Error::Full {
                table: "BACKENDS",
                limit,
                key: "gwpool.limits.backends",
            })?;
        self.next_backend = id + 1;
        Ok(id)
    }

    /// The lowest id that no route and no retired backend has.
    pub fn new_route(&mut self, limits: &Limits) -> Result<u32, Error> {
        let id = (self.next_route..=limits.routes)
            .find(|id| !self.installed.names.contains_key(id) && self.of_route(*id).is_empty())
            .ok_or(Error::Full {
                table: "ROUTES",
                limit: limits.routes,
                key: "gwpool.limits.routes",
            })?;
        self.next_route = id + 1;
        Ok(id)
    }
}

#[cfg(test)]
mod tests;
