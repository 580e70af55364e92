//! A YAML value that knows where it stands: what every module of `config` works on.
//!
//! Children are shared, so that a clone costs nothing and an alias is a clone.
#![forbid(unsafe_code)]

use super::report::Place;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Keys that are looked for one after the other; with more, by an index.
const SCANNED_MAX: usize = 16;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it is used.
    pub at: Place,
    /// Where it comes from, when a template fetched it from elsewhere.
    pub origin: Option<Place>,
}

/// What YAML, read as Ansible reads it, can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text, perhaps a template.
    Text(String),
    /// A sequence.
    List(Arc<Vec<Node>>),
    /// A mapping, in the order written.
    Map(Arc<Map>),
    /// Under a tag only Ansible can open, as `!vault`: an error for whoever needs it.
    Sealed(String),
    /// An error that has been reported: whoever needs it stays silent.
    Broken,
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is.
    pub at: Place,
    /// Its value.
    pub node: Node,
}

/// The entries of a mapping, each key once.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<Entry>,
    /// Places in `entries` in the order of the keys, made when it is needed.
    index: OnceLock<Vec<usize>>,
}

impl From<Vec<Entry>> for Map {
    fn from(entries: Vec<Entry>) -> Map {
        Map {
            entries,
            index: OnceLock::new(),
        }
    }
}

impl FromIterator<Entry> for Map {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Map {
        Map::from(Vec::from_iter(entries))
    }
}

impl Deref for Map {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.entries
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        self.entries == other.entries
    }
}

impl Map {
    fn entry(&self, key: &str) -> Option<&Entry> {
        if self.entries.len() <= SCANNED_MAX {
            return self.entries.iter().find(|entry| entry.key == key);
        }
        let key_at = |place: &usize| self.entries[*place].key.as_str();
        let index = self.index.get_or_init(|| {
            let mut index: Vec<usize> = (0..self.entries.len()).collect();
            index.sort_by_key(key_at);
            index
        });
        let found = index.binary_search_by_key(&key, key_at).ok()?;
        Some(&self.entries[index[found]])
    }
}

impl Node {
    /// A value at its place.
    pub fn new(value: Value, at: Place) -> Node {
        Node {
            value,
            at,
            origin: None,
        }
    }

    /// The entries, empty if this is no map.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A key and its value.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(map) => map.entry(key),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Nothing there.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// For "found …".
    pub fn describe(&self) -> String {
        let what = match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(value) => format!("`{value}`"),
            Value::Float(value) => format!("`{value}`"),
            Value::Text(value) => format!("\"{}\"", shortened(value)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Sealed(tag) => format!("a value under the tag `{tag}`"),
            Value::Broken => "an error".to_owned(),
        };
        match &self.origin {
            Some(origin) => format!("{what} (from {origin})"),
            None => what,
        }
    }
}

/// One line of it, and not all of a long one.
pub fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && text.chars().count() <= MOST {
        return text.to_owned();
    }
    format!("{}…", line.chars().take(MOST).collect::<String>())
}
