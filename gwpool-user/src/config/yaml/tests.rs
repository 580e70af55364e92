//! Words as PyYAML reads them, places, tags, aliases, and what is too much.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;

fn read(text: &str) -> (Option<Node>, Vec<String>) {
    let findings = Findings::default();
    let node = parse(&"f".into(), text, &findings);
    let errors = findings
        .verdict()
        .err()
        .map(|report| report.errors)
        .unwrap_or_default();
    (node, errors.iter().map(ToString::to_string).collect())
}

#[test]
fn plain_words_are_read_as_ansible_reads_them() {
    let cases = [
        ("80", Value::Integer(80)),
        ("'80'", Value::Text("80".to_owned())),
        ("010", Value::Integer(8)),
        ("0x1f", Value::Integer(31)),
        ("1_000", Value::Integer(1000)),
        ("-5", Value::Integer(-5)),
        ("1.5", Value::Float(1.5)),
        ("192.168.1.254", Value::Text("192.168.1.254".to_owned())),
        ("30000-32767", Value::Text("30000-32767".to_owned())),
        ("yes", Value::Bool(true)),
        ("Off", Value::Bool(false)),
        ("'on'", Value::Text("on".to_owned())),
        ("~", Value::Null),
        ("!!str 80", Value::Text("80".to_owned())),
        ("!!int '80'", Value::Integer(80)),
        ("!vault abc", Value::Sealed("!vault".to_owned())),
        ("inf", Value::Text("inf".to_owned())),
    ];
    for (text, expected) in cases {
        let (node, errors) = read(&format!("k: {text}"));
        assert_eq!(
            node.unwrap().get("k").unwrap().value,
            expected,
            "{text} {errors:?}"
        );
    }
}

#[test]
fn every_value_knows_its_place() {
    let (node, _) = read("a:\n  b:\n    - x\n    - {c: ü, d: 1}\n");
    let root = node.unwrap();
    let Value::List(items) = &root.get("a").unwrap().get("b").unwrap().value else {
        panic!("no list")
    };
    let places: Vec<String> = [&items[0], items[1].get("d").unwrap()]
        .iter()
        .map(|node| node.at.to_string())
        .collect();
    assert_eq!(places, ["f:3:7", "f:4:17"]);
    assert_eq!(root.get("a").unwrap().entries()[0].at.to_string(), "f:2:3");
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    let (node, errors) = read("base: &b {x: 1, y: 2}\nk: {<<: *b, y: 3}\nl: {<<: [*b, {z: 4}]}\n");
    assert_eq!(errors, Vec::<String>::new());
    let root = node.unwrap();
    let number = |map: &str, key: &str| root.get(map).unwrap().get(key).unwrap().value.clone();
    assert_eq!(
        (number("k", "x"), number("k", "y")),
        (Value::Integer(1), Value::Integer(3))
    );
    assert_eq!(
        (number("l", "z"), number("l", "y")),
        (Value::Integer(4), Value::Integer(2))
    );
}

#[test]
fn too_much_is_refused() {
    let bomb: String = (1..9)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 9].join(",")
            )
        })
        .collect();
    let (_, errors) = read(&format!("a0: &a0 [x,x,x,x,x,x,x,x,x]\n{bomb}"));
    assert!(
        errors[0].contains("aliases of at most 1000000 values"),
        "{errors:?}"
    );
    let (_, errors) = read(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
    assert!(errors[0].contains("at most 64 levels"), "{errors:?}");
    let (_, errors) = read("a: &a [*a]\n");
    assert!(
        errors[0].contains("an alias of something before it"),
        "{errors:?}"
    );
    let (_, errors) = read("a: 1\n---\nb: 2\n");
    assert!(
        errors[0].contains("wanted one document, found a second one"),
        "{errors:?}"
    );
}

#[test]
fn no_text_breaks_it() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/seed/inventory.yml"
    ))
    .unwrap();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let (node, errors) = read(&text[..end]);
        assert!(node.is_some() || !errors.is_empty(), "cut at {end}");
    }
}
