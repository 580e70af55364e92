//! Entries by id: what is looked up a hundred thousand times while a plan is laid.
//!
//! Ids are small and used again, so an entry stands at its id's place in a vector. The words are those of
//! `BTreeMap`, and so is the order. Names can be looked up both ways.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::iter::{Flatten, Map};
use std::ops::Index;
use std::slice;

/// A map whose keys are ids.
#[derive(Clone, Debug)]
pub struct Ids<V> {
    places: Vec<Option<(u32, V)>>,
    entries: usize,
}

/// What [`Ids::iter`] gives.
pub type Iter<'a, V> =
    Map<Flatten<slice::Iter<'a, Option<(u32, V)>>>, fn(&'a (u32, V)) -> (&'a u32, &'a V)>;

impl<V> Ids<V> {
    /// The entry of this id.
    pub fn get(&self, id: &u32) -> Option<&V> {
        self.places
            .get(*id as usize)?
            .as_ref()
            .map(|(_, value)| value)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: &u32) -> Option<&mut V> {
        self.places
            .get_mut(*id as usize)?
            .as_mut()
            .map(|(_, value)| value)
    }

    /// Whether the id has an entry.
    pub fn contains_key(&self, id: &u32) -> bool {
        self.get(id).is_some()
    }

    /// Sets the id's entry; what it was.
    pub fn insert(&mut self, id: u32, value: V) -> Option<V> {
        let place = id as usize;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, || None);
        }
        let before = self.places[place].replace((id, value));
        self.entries += usize::from(before.is_none());
        before.map(|(_, value)| value)
    }

    /// Takes the id's entry away; what it was.
    pub fn remove(&mut self, id: &u32) -> Option<V> {
        let before = self.places.get_mut(*id as usize)?.take();
        self.entries -= usize::from(before.is_some());
        before.map(|(_, value)| value)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// One more than the highest id ever used.
    pub fn end(&self) -> u32 {
        self.places.len() as u32
    }

    /// All entries, in the order of their ids.
    pub fn iter(&self) -> Iter<'_, V> {
        self.places.iter().flatten().map(|(id, value)| (id, value))
    }

    /// All ids, in order.
    pub fn keys(&self) -> impl Iterator<Item = &u32> {
        self.iter().map(|(id, _)| id)
    }

    /// All values, in the order of their ids.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<'a, V> IntoIterator for &'a Ids<V> {
    type Item = (&'a u32, &'a V);
    type IntoIter = Iter<'a, V>;

    fn into_iter(self) -> Iter<'a, V> {
        self.iter()
    }
}

impl<V> Default for Ids<V> {
    fn default() -> Self {
        Ids {
            places: Vec::new(),
            entries: 0,
        }
    }
}

/// Vectors that differ only in how far they once reached are the same map.
impl<V: PartialEq> PartialEq for Ids<V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for Ids<V> {}

impl<V> FromIterator<(u32, V)> for Ids<V> {
    fn from_iter<I: IntoIterator<Item = (u32, V)>>(entries: I) -> Self {
        let mut ids = Ids::default();
        for (id, value) in entries {
            ids.insert(id, value);
        }
        ids
    }
}

impl<V> Index<&u32> for Ids<V> {
    type Output = V;

    fn index(&self, id: &u32) -> &V {
        self.get(id).expect("the id has an entry")
    }
}

/// Names by id, and ids by name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_id: Ids<String>,
    by_name: HashMap<String, u32>,
}

impl Names {
    /// The id that has this name.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The id's name.
    pub fn get(&self, id: &u32) -> Option<&String> {
        self.by_id.get(id)
    }

    /// Whether the id has a name.
    pub fn contains_key(&self, id: &u32) -> bool {
        self.by_id.contains_key(id)
    }

    /// Names the id.
    pub fn insert(&mut self, id: u32, name: String) {
        self.remove(&id);
        self.by_name.insert(name.clone(), id);
        self.by_id.insert(id, name);
    }

    /// Takes the id's name away.
    pub fn remove(&mut self, id: &u32) {
        let name = self.by_id.remove(id);
        // Another id may have been given the name meanwhile.
        if let Some(name) = name.filter(|name| self.by_name.get(name) == Some(id)) {
            self.by_name.remove(&name);
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// One more than the highest id that ever had a name.
    pub fn end(&self) -> u32 {
        self.by_id.end()
    }

    /// All names, in the order of their ids.
    pub fn iter(&self) -> Iter<'_, String> {
        self.by_id.iter()
    }

    /// All ids that have a name, in order.
    pub fn keys(&self) -> impl Iterator<Item = &u32> {
        self.by_id.keys()
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.by_id == other.by_id
    }
}

impl Eq for Names {}

impl FromIterator<(u32, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (u32, String)>>(entries: I) -> Self {
        let mut names = Names::default();
        for (id, name) in entries {
            names.insert(id, name);
        }
        names
    }
}

impl Index<&u32> for Names {
    type Output = String;

    fn index(&self, id: &u32) -> &String {
        &self.by_id[id]
    }
}

#[cfg(test)]
mod tests;
