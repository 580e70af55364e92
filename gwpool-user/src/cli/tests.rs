//! What the command line takes, and what it does not promise.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;
use clap::CommandFactory as _;

fn parsed(line: &str) -> Result<Verb, clap::Error> {
    let words = std::iter::once("gwpool-user").chain(line.split_whitespace());
    Cli::try_parse_from(words).map(|cli| cli.verb)
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn weights_are_haproxys_or_the_plans() {
    for (text, expected) in [("0", Some(0)), ("256", Some(256)), ("plan", None)] {
        let verb = parsed(&format!("weight web/gateway-2 {text}")).unwrap();
        assert!(
            matches!(verb, Verb::Weight { weight, .. } if weight.0 == expected),
            "{text}"
        );
    }
    for text in ["257", "-1", "50%", "", "none"] {
        let error = parsed(&format!("weight web/gateway-2 {text}")).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(WRONG), "{text}");
    }
}

#[test]
fn states_are_three() {
    for state in ["drain", "ready", "maint"] {
        assert!(matches!(
            parsed(&format!("backend {state} */gateway-2")).unwrap(),
            Verb::Backend { .. }
        ));
    }
    assert!(parsed("backend down web/gateway-1").is_err());
    assert!(parsed("backend drain").is_err());
}

#[test]
fn the_global_options_stand_before_or_after_the_verb() {
    for line in [
        "--runtime-dir /r reload --json",
        "reload --json --runtime-dir /r",
    ] {
        assert!(matches!(parsed(line).unwrap(), Verb::Reload { json: true }));
    }
}

#[test]
fn flows_takes_filters_and_either_follows_or_deletes() {
    let verb = parsed("flows --json --limit 5 route=web nat").unwrap();
    let Verb::Flows(args) = verb else {
        panic!("{verb:?}");
    };
    let expected = json!({
        "verb": "flows", "filter": ["route=web", "nat"], "limit": 5, "follow": false, "delete": false,
    });
    assert_eq!((args.json, args.request()), (true, expected));
    assert!(parsed("flows --follow --delete nat").is_err());
}

#[test]
fn what_does_not_work_yet_is_not_offered() {
    for line in [
        "reload --try 5",
        "reload --force",
        "confirm",
        "backend drain --kill web/gateway-1",
        "explain",
        "doctor",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}
