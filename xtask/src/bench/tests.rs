//! What `bench` is told by each way of saying it.

use super::words;
use anyhow::Result;

fn said(args: &str) -> Result<String> {
    let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
    words(&args).map(|words| words.join(" "))
}

#[test]
fn without_a_word_it_is_all_contests() -> Result<()> {
    assert_eq!(said("")?, "contest");
    assert_eq!(said("--publish")?, "contest --publish");
    Ok(())
}

#[test]
fn a_word_is_a_contest_or_a_table() -> Result<()> {
    assert_eq!(said("micro --rounds 1")?, "contest micro --rounds 1");
    assert_eq!(said("sweep --flows 9")?, "sweep --flows 9");
    assert!(said("speed").is_err());
    Ok(())
}
