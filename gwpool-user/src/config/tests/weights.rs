//! `weight` and `weights` of a route: what they come to, and what is refused.
#![forbid(unsafe_code)]

use super::*;

fn weights(lines: &[&str]) -> Vec<u16> {
    load_route(lines).unwrap().plan.routes[0].weights()
}

#[test]
fn weights_are_given_by_host_by_address_and_to_all_others() {
    let cases: [(&[&str], [u16; 2]); 9] = [
        (&[], [1, 1]),
        (&["weights: {gateway-1: 2}"], [2, 1]),
        (&["weights: {gateway-2: 3, gateway-1: 2}"], [2, 3]),
        (&["weights: {10.0.0.2: 256}"], [1, 256]),
        (&["weight: 10"], [10, 10]),
        (&["weight: 0", "weights: {gateway-2: 1}"], [0, 1]),
        (&["balance: static-rr", "weights: {gateway-2: 7}"], [1, 7]),
        (&["weights:", "weight:"], [1, 1]),
        (
            &[
                "destination: {addresses: [10.0.0.8, 10.0.0.9]}",
                "weights: {10.0.0.9: 4}",
            ],
            [1, 4],
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(weights(lines), expected, "{lines:?}");
    }
}

#[test]
fn this_node_is_also_known_by_its_address() {
    let written = "gateway-1: {box-network: {address: 10.0.0.1}}";
    let text = with_route(&[
        "address: '*'",
        "port: 80",
        "destination: {group: {name: kube}}",
        "weights: {10.0.0.1: 5}",
    ]);
    let loaded = load_one(&text.replacen("gateway-1:", written, 1), &[]).unwrap();
    assert_eq!(loaded.plan.routes[0].weights(), [5, 1]);
}

#[test]
fn what_is_wrong_with_weights_has_its_words_and_its_place() {
    let cases: [(&[&str], &str); 9] = [
        (
            &["weights: {gatway-2: 2}"],
            "hosts.yml:12:17: wanted the backend `gatway-2` of the route `web`, found none; did you mean `gateway-2`?",
        ),
        (
            &["weights: {10.0.0.7: 2}"],
            "wanted the backend `10.0.0.7` of the route `web`, found none; there are: gateway-1, gateway-2",
        ),
        (
            &["weights: {gateway-2: 2, 10.0.0.2: 3}"],
            "hosts.yml:12:31: `10.0.0.2` gives the backend `gateway-2` of `web` its weight, like `gateway-2` \
             (hosts.yml:12:17); change one",
        ),
        (
            &["weights: {gateway-2: 257}"],
            "hosts.yml:12:28: wanted a weight from 0 to 256, found `257`",
        ),
        (
            &["weights: {gateway-2: -1}"],
            "wanted a weight from 0 to 256, found `-1`",
        ),
        (
            &["weights: {gateway-2: heavy}"],
            "wanted a weight from 0 to 256, found \"heavy\"",
        ),
        (
            &["weights: 2"],
            "wanted a map of backends to their weights, as `{gateway-1: 2}`, found `2`; the weight of every backend \
             stands in `weight`",
        ),
        (
            &["weight: {gateway-1: 2}"],
            "wanted the weight of every backend, found a map; a map of backends stands in `weights`",
        ),
        (
            &["weight: lots"],
            "wanted a weight from 0 to 256, found \"lots\"",
        ),
    ];
    for (lines, words) in cases {
        let errors = load_route(lines).unwrap_err();
        assert!(
            errors.len() == 1 && errors[0].contains(words),
            "{lines:?}: {errors:#?}"
        );
    }
}

#[test]
fn a_backend_or_group_that_is_missing_is_told_once() {
    let text = with_route(&[
        "address: '*'",
        "port: 80",
        "destination: {group: {name: kube}}",
        "weights: {gateway-2: 2, 10.0.0.2: 3}",
    ]);
    let errors = load_one(&text.replace("{ansible_host: 10.0.0.2}", ""), &[]).unwrap_err();
    assert!(
        errors.len() == 1 && errors[0].contains("wanted the address of `gateway-2`"),
        "{errors:#?}"
    );
    let errors = load_route(&[
        "destination: {group: {name: cube}}",
        "weights: {gateway-2: 2}",
    ]);
    let errors = errors.unwrap_err();
    assert!(
        errors.len() == 1 && errors[0].contains("the group `cube`"),
        "{errors:#?}"
    );
}

#[test]
fn a_cycle_too_long_is_refused_with_route_sum_limit_and_advice() {
    let list =
        |count: u16| -> Vec<String> { (1..=count).map(|last| format!("10.0.1.{last}")).collect() };
    let lines = |count: u16, odd: u16| {
        let destination = format!("destination: {{addresses: [{}]}}", list(count).join(", "));
        (destination, format!("weights: {{10.0.1.1: {odd}}}"))
    };
    let errors = |count, odd| {
        let (destination, weights) = lines(count, odd);
        let loaded = load_route(&[&destination, "weight: 256", &weights]);
        loaded.err().unwrap_or_default()
    };
    let said = "hosts.yml:13:16: wanted at most 4096 turns in a cycle of the route `web` (the sum of its weights, \
                divided by what they have in common), found 4351; give smaller weights, or such as have more in \
                common: steps of 10 do";
    assert_eq!(errors(17, 255), [said]);
    assert_eq!(
        errors(17, 128),
        Vec::<String>::new(),
        "33 turns of 128 each"
    );
    assert_eq!(errors(16, 255), Vec::<String>::new(), "4095 turns");
}

#[test]
fn all_cycles_together_have_a_limit_too() {
    let list: Vec<String> = (1..=16).map(|last| format!("10.0.1.{last}")).collect();
    let route = |port: u16| {
        format!(
            "    r{port}: {{address: '*', port: {port}, weight: 256, weights: {{10.0.1.1: 255}}, destination: \
             {{addresses: [{}]}}}}\n",
            list.join(", ")
        )
    };
    let good = with_route(&[
        "address: '*'",
        "port: 80",
        "destination: {hosts: [gateway-1]}",
    ]);
    let sixteen: String = (81..97).map(route).collect();
    let fits = format!("{good}{sixteen}");
    assert!(load_one(&fits, &[]).is_ok(), "65521 turns");
    let errors = load_one(&format!("{fits}{}", route(97)), &[]).unwrap_err();
    let said = "wanted at most 65536 turns in a cycle over all routes, found 69616; give smaller weights, or raise \
                `gwpool.limits.backends`";
    assert!(errors.len() == 1 && errors[0].contains(said), "{errors:#?}");
}

#[test]
fn weights_of_nothing_but_zero_are_noted() {
    let loaded = load_route(&["weight: 0"]).unwrap();
    let said = "every backend of the route `web` has the weight 0";
    assert!(
        loaded.notes.iter().any(|note| note.text.contains(said)),
        "{:#?}",
        loaded.notes
    );
}

#[test]
fn the_table_shows_weights_where_there_are_some() {
    let weighted = table(&load_route(&["weights: {gateway-2: 3}"]).unwrap());
    for part in [
        "gateway-1 this node:80 weight 1",
        "gateway-2 10.0.0.2:80 weight 3",
    ] {
        assert!(weighted.contains(part), "{part} is not in\n{weighted}");
    }
    assert!(!table(&load_route(&[]).unwrap()).contains("weight"));
}

#[test]
fn only_what_draws_from_a_cycle_may_have_too_long_a_one() {
    let list: Vec<String> = (1..=17).map(|last| format!("10.0.1.{last}")).collect();
    let destination = format!("destination: {{addresses: [{}]}}", list.join(", "));
    for balance in ["leastconn", "source"] {
        let balance = format!("balance: {balance}");
        let lines = [
            &balance,
            &destination,
            "weight: 256",
            "weights: {10.0.1.1: 255}",
        ];
        let route = load_route(&lines).unwrap().plan.routes.remove(0);
        assert_eq!((route.weights()[0], route.weights()[1]), (255, 256));
    }
}
