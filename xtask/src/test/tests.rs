//! The words after `test`.

use super::{TIERS, Tier, wanted};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_first_word_that_is_a_tier_is_no_filter() {
    assert_eq!(
        wanted(&words("net six_routes")).ok(),
        Some((vec![Tier::Net], words("six_routes")))
    );
    assert_eq!(
        wanted(&words("six_routes net")).ok(),
        Some((TIERS.to_vec(), words("six_routes net")))
    );
    assert_eq!(wanted(&[]).ok(), Some((TIERS.to_vec(), vec![])));
    assert!(wanted(&words("host --nocapture")).is_err());
}
