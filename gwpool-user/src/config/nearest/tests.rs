//! Which word is taken for the one that was meant.
#![forbid(unsafe_code)]

use super::suggestion;

#[test]
fn the_nearest_is_suggested_the_first_of_equals() {
    let cases: [(&str, &[&str], &str); 9] = [
        ("prot", &["port", "mode"], "did you mean `port`?"),
        ("flow", &["embryonic", "flows"], "did you mean `flows`?"),
        ("aa", &["ab", "ac"], "did you mean `ab`?"),
        (
            "balance",
            &["balances", "balance"],
            "did you mean `balances`?",
        ),
        (
            "roundrobbin",
            &["random", "roundrobin"],
            "did you mean `roundrobin`?",
        ),
        (
            "abcdefgh",
            &["abcdxxgh", "abcdefxx", "abcdefxh"],
            "did you mean `abcdefxh`?",
        ),
        ("x", &["port", "mode"], "there are: port, mode"),
        ("x", &[], ""),
        ("", &["ab"], "there are: ab"),
    ];
    for (word, known, expected) in cases {
        assert_eq!(suggestion(word, known), expected, "{word}");
    }
    let many: Vec<String> = (100..125).map(|n| format!("word-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(suggestion("x", &many), "");
    assert!(suggestion("x", &many[1..]).starts_with("there are: word-101, "));
}
