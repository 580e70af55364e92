//! Text to tree: parser events in, a located [`Node`] out.
//!
//! Plain words mean what they mean to Ansible (YAML 1.1: `yes`, `0x1f`, `010`). Twice the same key is an error;
//! depth and what aliases unfold are bounded. Merge keys (`<<`) are done here, templates are not.
#![forbid(unsafe_code)]

use super::report::{Cause, Findings, Place, Problem};
use super::tree::{Entry, Node, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Levels of nesting.
const DEPTH_MAX: usize = 64;
/// Values that the aliases of one file may stand for.
const ALIASED_MAX: usize = 1_000_000;
const QUOTE_IT: &str = "a template stands in quotes: \"{{ … }}\"";

/// Reads one document. `None`: nothing usable; the findings say why.
pub fn parse(file: &Arc<str>, text: &str, findings: &Findings) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        text,
        file,
        findings,
        anchors: HashMap::new(),
        built: 0,
        aliased: 0,
    };
    match builder.document() {
        Ok(node) => Some(node),
        Err(problem) => {
            findings.problem(problem);
            None
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    file: &'a Arc<str>,
    findings: &'a Findings,
    /// What an anchor stands for, and of how many values it consists.
    anchors: HashMap<usize, (Node, usize)>,
    built: usize,
    aliased: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    return Err(self.wanted(span.start, "one document", "a second one", ""));
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or_else(|| {
            let at = Place {
                file: Arc::clone(self.file),
                line: 1,
                column: 1,
            };
            Node::new(Value::Null, at)
        }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        if depth > DEPTH_MAX {
            return Err(self.wanted(
                span.start,
                &format!("at most {DEPTH_MAX} levels"),
                "more",
                "",
            ));
        }
        let before = self.built;
        self.built += 1;
        let at = self.place(span.start);
        let (value, anchor, tag) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref()), anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => (self.list(depth)?, anchor, tag),
            Event::MappingStart(anchor, tag) => (self.map(depth)?, anchor, tag),
            _ => return Err(self.wanted(span.start, "a value", "the end of one", "")),
        };
        let value = match tag.as_deref().and_then(sealing) {
            Some(tag) => Value::Sealed(tag),
            None => value,
        };
        let node = Node::new(value, at);
        if anchor > 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.built - before));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Problem> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(self.wanted(
                span.start,
                "an alias of something before it",
                "one of what it is part of",
                "",
            ));
        };
        self.built += size;
        self.aliased += size;
        if self.aliased > ALIASED_MAX {
            let most = format!("aliases of at most {ALIASED_MAX} values");
            return Err(self.wanted(span.start, &most, "more", "write them out"));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(Arc::new(items))),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        let mut broken = false;
        loop {
            let (event, span) = self.next()?;
            let (key, merge) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => {
                    (Some(text.into_owned()), style == ScalarStyle::Plain)
                }
                other => {
                    self.strange_key(other, span, depth)?;
                    (None, false)
                }
            };
            let (event, value_span) = self.next()?;
            let node = self.node(event, value_span, depth + 1)?;
            match key {
                None => broken = true,
                Some(key) if merge && key == "<<" => merged.push(node),
                Some(key) => entries.push(Entry {
                    key,
                    at: self.place(span.start),
                    node,
                }),
            }
        }
        self.refuse_twice(&mut entries);
        if !merged.is_empty() {
            let mut known = entries.iter().map(|entry| entry.key.clone()).collect();
            for node in merged {
                self.merge(&mut entries, &mut known, &node);
            }
        }
        Ok(if broken {
            Value::Broken
        } else {
            Value::Map(Arc::new(entries.into()))
        })
    }

    /// `port: {{ x }}` is a map whose key is a map: the usual reason to come here.
    fn strange_key(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(), Problem> {
        let node = self.node(event, span, depth + 1)?;
        if !matches!(node.value, Value::Broken) {
            self.findings.problem(self.wanted(
                span.start,
                "a plain key",
                &node.describe(),
                QUOTE_IT,
            ));
        }
        Ok(())
    }

    /// The first of equal keys stays.
    fn refuse_twice(&self, entries: &mut Vec<Entry>) {
        let mut by_key: Vec<usize> = (0..entries.len()).collect();
        by_key.sort_by_key(|place| &entries[*place].key);
        let mut again = BTreeMap::new();
        for same in by_key.chunk_by(|one, other| entries[*one].key == entries[*other].key) {
            again.extend(same.iter().skip(1).map(|place| (*place, same[0])));
        }
        for (place, first) in &again {
            let entry = &entries[*place];
            let cause = Cause::DuplicateKey {
                key: entry.key.clone(),
                first: entries[*first].at.clone(),
            };
            self.findings.error(&entry.at, cause);
        }
        let mut places = 0..entries.len();
        entries.retain(|_| {
            places
                .next()
                .is_some_and(|place| !again.contains_key(&place))
        });
    }

    /// `<<`: what is written here wins, then the first of several maps.
    fn merge(&self, entries: &mut Vec<Entry>, known: &mut BTreeSet<String>, from: &Node) {
        match &from.value {
            Value::Map(added) => {
                for entry in added.iter() {
                    if known.insert(entry.key.clone()) {
                        entries.push(entry.clone());
                    }
                }
            }
            Value::List(maps) => maps.iter().for_each(|map| self.merge(entries, known, map)),
            Value::Broken => {}
            _ => self.findings.error(
                &from.at,
                Cause::wanted("a map to merge", from.describe(), ""),
            ),
        }
    }

    fn place(&self, marker: Marker) -> Place {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(self.file),
            line: number(marker.line()),
            column: number(marker.col() + 1),
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let line = self
            .text
            .lines()
            .nth(error.marker().line().saturating_sub(1));
        let advice = if line.is_some_and(|line| line.contains("{{")) {
            QUOTE_IT
        } else {
            ""
        };
        self.wanted(*error.marker(), "YAML", error.info(), advice)
    }

    fn wanted(&self, marker: Marker, wanted: &str, found: &str, advice: &str) -> Problem {
        Problem {
            at: self.place(marker),
            cause: Cause::wanted(wanted, found, advice),
        }
    }
}

/// The tag's name, if it is none of YAML's own.
fn sealing(tag: &Tag) -> Option<String> {
    let own = tag.is_yaml_core_schema() || (tag.handle.is_empty() && tag.suffix == "!");
    (!own && !tag.suffix.is_empty()).then(|| format!("{}{}", tag.handle, tag.suffix))
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| !tag.is_yaml_core_schema() || tag.suffix == "str");
    let is_plain = style == ScalarStyle::Plain || tag.is_some();
    if is_plain && !is_text {
        plain(text)
    } else {
        Value::Text(text.to_owned())
    }
}

/// YAML 1.1's reading of a plain word, as PyYAML has it, without base 60.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if let Some(number) = integer(text) {
        return Value::Integer(number);
    }
    let numeric =
        text.contains('.') && text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match text.parse::<f64>() {
        Ok(number) if numeric => Value::Float(number),
        _ => Value::Text(text.to_owned()),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(digits, radix)
        .ok()
        .map(|number| sign * number)
}

#[cfg(test)]
mod tests;
