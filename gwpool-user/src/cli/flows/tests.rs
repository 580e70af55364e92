//! Lines of the daemon, and what comes of them.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use serde_json::json;

const LINE: &str = r#"{"protocol":"udp","number":17,"seconds":118,"state":"MAPPING","kind":"mapping","source":"192.168.1.11","source_port":41000,"nat_address":"10.9.0.254","nat_port":41001}"#;

fn passed(line: &str, json: bool) -> (bool, String) {
    let mut out = Vec::new();
    let goes_on = pass_on(&mut out, line, json, &json!({})).unwrap();
    (goes_on, String::from_utf8(out).unwrap())
}

#[test]
fn an_object_is_a_line_for_people_and_itself_for_programs() {
    let text = "udp      17 118 MAPPING src=192.168.1.11 sport=41000 nat=10.9.0.254 port=41001\n";
    assert_eq!(passed(LINE, false), (true, text.to_owned()));
    assert_eq!(passed(LINE, true), (true, format!("{LINE}\n")));
}

#[test]
fn the_end_is_no_line() {
    let end = r#"{"end":{"flows":3,"mappings":1,"more":true}}"#;
    assert_eq!(passed(end, true), (false, String::new()));
    let note: Value = serde_json::from_str(end).unwrap();
    assert_eq!(
        said(&note, &json!({"delete": true})),
        "3 flow(s) and 1 mapping(s) removed\nthat is the limit; there may be more\n"
    );
    let whole = json!({"end": {"flows": 3, "mappings": 1, "more": false}});
    assert_eq!(said(&whole, &json!({})), "");
}

#[test]
fn a_follower_hears_when_it_begins() {
    let begins = r#"{"following":7}"#;
    assert_eq!(passed(begins, false), (true, String::new()));
    let note: Value = serde_json::from_str(begins).unwrap();
    assert_eq!(
        said(&note, &json!({})),
        "following 7 flow(s) and mapping(s)\n"
    );
}
