//! `{{ … }}` in a value: a dotted path is looked up as written, hyphens included; anything else is Jinja.
//!
//! A value that is one template keeps the type of what it fetches. The engine has no loader, no functions of ours,
//! and sees the host's variables only: a template reaches no file, environment or network.
#![forbid(unsafe_code)]

use super::report::{Cause, Place, Problem};
use super::tree::{Entry, Node, Value, shortened};
use super::vars::Scope;
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use std::sync::{Arc, LazyLock};

/// Instructions one template may cost.
const FUEL: u64 = 100_000;

/// Whether there is anything to render.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The value of a template that stands at `at`.
pub fn render(scope: &Arc<Scope>, text: &str, at: &Place) -> Result<Node, Problem> {
    let Some(expression) = whole(text) else {
        let text = with_brackets(scope, text, at);
        let rendered = environment().render_str(&text, root(scope));
        let rendered = rendered.map_err(|error| failed(&text, at, &error))?;
        return Ok(Node::new(Value::Text(rendered), at.clone()));
    };
    if !is_path(expression) {
        return jinja(scope, expression, text, at);
    }
    match scope.path(expression, at) {
        Ok(node) => {
            note_hyphens(scope, expression, at);
            let origin = node.origin.or(Some(node.at));
            Ok(Node {
                value: node.value,
                at: at.clone(),
                origin,
            })
        }
        // `a-b` may be a subtraction; if it is not one either, the path is what was meant.
        Err(missing)
            if expression.contains('-') && matches!(missing.cause, Cause::Undefined { .. }) =>
        {
            jinja(scope, expression, text, at).map_err(|_| missing)
        }
        Err(problem) => Err(problem),
    }
}

fn jinja(scope: &Arc<Scope>, expression: &str, text: &str, at: &Place) -> Result<Node, Problem> {
    let expression = path_brackets(scope, expression, at);
    let environment = environment();
    let compiled = environment.compile_expression(&expression);
    let value = compiled.and_then(|compiled| compiled.eval(root(scope)));
    let value = value.map_err(|error| failed(text, at, &error))?;
    to_node(&value, at).map_err(|error| failed(text, at, &error))
}

/// Made once: its filters and tests take longer than a template does.
fn environment() -> &'static Environment<'static> {
    static MADE: LazyLock<Environment> = LazyLock::new(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment
    });
    &MADE
}

fn failed(template: &str, at: &Place, error: &minijinja::Error) -> Problem {
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let template = shortened(template.trim());
    Problem {
        at: at.clone(),
        cause: Cause::Template { template, reason },
    }
}

/// The expression, if the text is nothing but `{{ expression }}`.
fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?;
    let end = expression_end(inner)?;
    let rest = &inner[end..];
    (rest == "}}").then(|| {
        inner[..end]
            .trim_start_matches('-')
            .trim_end_matches('-')
            .trim()
    })
}

/// Where the `}}` is that ends an expression: not inside quotes, not the end of a map.
fn expression_end(text: &str) -> Option<usize> {
    let (mut quote, mut braces, mut escaped) = (None, 0, false);
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => braces += 1,
            (None, '}') if braces > 0 => braces -= 1,
            (None, '}') if text[index..].starts_with("}}") => return Some(index),
            (None, _) => {}
        }
        escaped = false;
    }
    None
}

fn is_path(expression: &str) -> bool {
    let mut parts = expression.split('.');
    let is_word = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    };
    let is_name = |c: char| c.is_alphabetic() || c == '_';
    !matches!(
        expression,
        "true" | "false" | "none" | "True" | "False" | "None"
    ) && expression.starts_with(is_name)
        && parts.all(|part| is_word(part) && !part.starts_with('-') && !part.ends_with('-'))
}

fn note_hyphens(scope: &Scope, path: &str, at: &Place) {
    if path.contains('-') {
        let said = "is looked up as written; Ansible reads a subtraction: there it is written";
        scope
            .findings
            .note(at, format!("`{path}` {said} `{}`", bracketed(path)));
    }
}

fn bracketed(path: &str) -> String {
    let mut written = String::new();
    for part in path.split('.') {
        match (part.contains('-'), written.is_empty()) {
            (true, true) => written = format!("vars['{part}']"),
            (true, false) => written.push_str(&format!("['{part}']")),
            (false, true) => written.push_str(part),
            (false, false) => written.push_str(&format!(".{part}")),
        }
    }
    written
}

/// [`path_brackets`] in every `{{ … }}` of a text.
fn with_brackets(scope: &Arc<Scope>, text: &str, at: &Place) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, inner)) = rest.split_once("{{") {
        let Some(end) = expression_end(inner) else {
            break;
        };
        written.push_str(&format!(
            "{before}{{{{{}}}}}",
            path_brackets(scope, &inner[..end], at)
        ));
        rest = &inner[end + 2..];
    }
    written + rest
}

/// Paths with hyphens in a Jinja expression, where the path is there as written: `a.b-c` becomes `a['b-c']`.
fn path_brackets(scope: &Arc<Scope>, expression: &str, at: &Place) -> String {
    let mut written = String::new();
    let mut rest = expression;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' | '\'' => rest[1..].find(c).map_or(rest.len(), |end| end + 2),
            c if c.is_alphanumeric() || c == '_' => {
                let in_path = |c: char| c.is_alphanumeric() || "_-.".contains(c);
                rest.find(|c| !in_path(c)).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        let starts = !written.ends_with('.');
        let known = starts && word.contains('-') && is_path(word) && scope.path(word, at).is_ok();
        if known {
            note_hyphens(scope, word, at);
        }
        written.push_str(&if known {
            bracketed(word)
        } else {
            word.to_owned()
        });
        rest = after;
    }
    written
}

/// The variables as the engine sees them: each is rendered when it is asked for.
#[derive(Debug)]
struct Root(Arc<Scope>);

/// A list or a map of them.
#[derive(Debug)]
struct Inner(Arc<Scope>, Node);

fn root(scope: &Arc<Scope>) -> minijinja::Value {
    minijinja::Value::from_object(Root(Arc::clone(scope)))
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        match key.as_str()? {
            // Ansible's name for all of them; the way to one with a hyphen.
            "vars" if self.0.raw("vars").is_none() => Some(root(&self.0)),
            name => self.0.raw(name).map(|entry| to_jinja(&self.0, &entry.node)),
        }
    }
}

impl Object for Inner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if matches!(self.1.value, Value::List(_)) {
            ObjectRepr::Seq
        } else {
            ObjectRepr::Map
        }
    }

    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        let node = match &self.1.value {
            Value::List(items) => items.get(key.as_usize()?),
            _ => self.1.get(key.as_str()?),
        };
        node.map(|node| to_jinja(&self.0, node))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.1.value {
            Value::List(items) => Enumerator::Seq(items.len()),
            _ => {
                let keys = self
                    .1
                    .entries()
                    .iter()
                    .map(|entry| minijinja::Value::from(entry.key.as_str()));
                Enumerator::Values(keys.collect())
            }
        }
    }
}

fn to_jinja(scope: &Arc<Scope>, node: &Node) -> minijinja::Value {
    let node = match scope.shallow(node) {
        Ok(node) => node,
        Err(problem) => {
            return minijinja::Error::new(ErrorKind::InvalidOperation, problem.to_string()).into();
        }
    };
    match &node.value {
        Value::Null => ().into(),
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(_) | Value::Map(_) => {
            minijinja::Value::from_object(Inner(Arc::clone(scope), node))
        }
        Value::Sealed(_) | Value::Broken => {
            let reason = format!("{} at {} cannot be read", node.describe(), node.at);
            minijinja::Error::new(ErrorKind::InvalidOperation, reason).into()
        }
    }
}

fn to_node(value: &minijinja::Value, at: &Place) -> Result<Node, minijinja::Error> {
    let value = match value.kind() {
        ValueKind::Undefined => return Err(ErrorKind::UndefinedError.into()),
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => match value.as_i64() {
            Some(number) if value.is_integer() => Value::Integer(number),
            _ => Value::Float(f64::try_from(value.clone())?),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.map(|item| to_node(&item, at));
            Value::List(Arc::new(items.collect::<Result<_, _>>()?))
        }
        ValueKind::Map => {
            let entry = |key: minijinja::Value| {
                let node = to_node(&value.get_item(&key)?, at)?;
                Ok::<_, minijinja::Error>(Entry {
                    key: key.to_string(),
                    at: at.clone(),
                    node,
                })
            };
            Value::Map(Arc::new(
                value.try_iter()?.map(entry).collect::<Result<_, _>>()?,
            ))
        }
        // An error that came through the engine as a value.
        ValueKind::Invalid => {
            return Err(value
                .get_attr("")
                .err()
                .unwrap_or_else(|| ErrorKind::BadSerialization.into()));
        }
        _ => Value::Text(value.to_string()),
    };
    Ok(Node::new(value, at.clone()))
}

#[cfg(test)]
mod tests;
