//! What is said when translation is taken off.

use super::*;

fn said(forwards: bool, removals: &[&str], unasked: &[&str]) -> String {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let translation = Translation {
        inside: "box-network".to_owned(),
        outside: "gateway-network".to_owned(),
        sources: Vec::new(),
    };
    let answer = Answer {
        removals: owned(removals),
        unasked: owned(unasked),
    };
    translation.said(forwards, &answer)
}

#[test]
fn packets_that_are_forwarded_and_not_translated_leak() {
    let leak = said(true, &[], &[]);
    assert!(
        leak.starts_with("LEAK") && leak.contains("gateway-network"),
        "{leak}"
    );
    let perhaps = said(true, &[], &["nf_tables (nft: gone)"]);
    assert!(
        perhaps.starts_with("LEAK") && perhaps.contains("cannot be asked: nf_tables"),
        "{perhaps}"
    );
}

#[test]
fn a_rule_or_no_forwarding_ends_that() {
    let rule = said(true, &["nft delete rule ip nat post handle 3"], &[]);
    assert!(
        !rule.contains("LEAK") && rule.contains("handle 3"),
        "{rule}"
    );
    let off = said(false, &[], &["nf_tables (nft: gone)"]);
    assert!(off.ends_with("nothing leaks"), "{off}");
}
