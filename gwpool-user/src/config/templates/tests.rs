//! Paths as written, Jinja for the rest, types kept, circles ended.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use crate::config::report::Findings;
use crate::config::{Sources, sources};

/// A template's value beside some variables, or the errors.
fn value(variables: &str, template: &str) -> Result<Value, String> {
    let findings = Arc::new(Findings::default());
    let extra = vec![variables.to_owned(), format!("{{result: {template}}}")];
    let inventory = sources::read(
        &Sources {
            extra,
            ..Sources::default()
        },
        &findings,
    );
    let scope = Scope::new(&inventory, "gateway-1", &findings);
    let node = scope.variable("result").unwrap();
    findings
        .verdict()
        .map(|_| node.value)
        .map_err(|report| report.to_string())
}

const APP: &str = "{app: {v: 7, admin: 2, v-admin: {port: 30085}, list: [a, b], name: x, late: '{{ app.v-admin.port }}'}}";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn values_are_fetched_and_computed() {
    let cases = [
        ("'{{ app.v-admin.port }}'", Value::Integer(30085)),
        ("'{{app.v-admin.port}}'", Value::Integer(30085)),
        ("'{{- app.v-admin.port -}}'", Value::Integer(30085)),
        ("'{{ app[\"v-admin\"].port }}'", Value::Integer(30085)),
        ("'{{ app.v-admin.port | int + 1 }}'", Value::Integer(30086)),
        ("'{{ app.late }}'", Value::Integer(30085)),
        ("'{{ app.late | int }}'", Value::Integer(30085)),
        ("'{{ app.v - app.admin }}'", Value::Integer(5)),
        ("'{{ app.v-app.admin }}'", Value::Integer(5)),
        ("'{{ app.list.1 }}'", text("b")),
        ("'{{ app.list | length }}'", Value::Integer(2)),
        ("'{{ app.none | default(9) }}'", Value::Integer(9)),
        ("'{{ app.v }}{{ app.admin }}'", text("72")),
        ("'port {{ app.v-admin.port }}!'", text("port 30085!")),
        ("'{% if app.v > 3 %}big{% endif %}'", text("big")),
        ("'{{ \"}}\" }}'", text("}}")),
        ("'{{ {\"a\": {\"b\": 1}}.a.b }}'", Value::Integer(1)),
        ("'{{ true }}'", Value::Bool(true)),
        ("'{{ inventory_hostname_short }}'", text("gateway-1")),
    ];
    for (template, expected) in cases {
        assert_eq!(value(APP, template), Ok(expected), "{template}");
    }
}

#[test]
fn the_path_as_written_wins_over_a_subtraction() {
    // With `app.v` and `admin` both there, Jinja would compute 7 - {port: 1}.
    let variables = "{app: {v: 7, v-admin: {port: 3}}, admin: {port: 1}}";
    assert_eq!(
        value(variables, "'{{ app.v-admin.port }}'"),
        Ok(Value::Integer(3))
    );
    let variables = "{app: {v: 7}, admin: {port: 1}}";
    assert_eq!(
        value(variables, "'{{ app.v-admin.port }}'"),
        Ok(Value::Integer(6))
    );
}

#[test]
fn a_list_keeps_its_shape() {
    let Ok(Value::List(items)) = value(APP, "'{{ app.list }}'") else {
        panic!("no list")
    };
    assert_eq!(items.len(), 2);
}

#[test]
fn what_cannot_be_rendered_is_told() {
    let cases = [
        (
            "{a: '{{ b }}', b: '{{ a }}'}",
            "'{{ a }}'",
            "perhaps a circle",
        ),
        (
            "{a: '{{ b | int }}', b: '{{ a | int }}'}",
            "'{{ a }}'",
            "perhaps a circle",
        ),
        ("{a: {b: '{{ a }}'}}", "'{{ a }}'", "perhaps a circle"),
        (
            "{a: {b: '{{ a }}', c: '{{ a }}', d: '{{ a }}'}}",
            "'{{ a }}'",
            "perhaps a circle",
        ),
        ("{}", "'{{ a | nope }}'", "unknown filter"),
        ("{}", "'{{ a b }}'", "syntax error"),
        ("{}", "'{{ a'", "syntax error"),
        ("{}", "'{% include \"/etc/passwd\" %}'", "fails"),
        ("{}", "'{{ lookup(\"env\", \"HOME\") }}'", "fails"),
        (
            "{}",
            "'{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}'",
            "fuel",
        ),
        ("{s: !vault x}", "'{{ s | int }}'", "under the tag `!vault`"),
    ];
    for (variables, template, words) in cases {
        let error = value(variables, template).unwrap_err();
        assert!(error.contains(words), "{template}: {error}");
    }
}
