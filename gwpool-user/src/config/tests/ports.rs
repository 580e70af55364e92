//! Ports, ranges of them and onto which they go; and what two routes may not both listen on.
#![forbid(unsafe_code)]

use super::*;

#[test]
fn ports_are_one_or_a_range_onto_as_many_or_onto_one() {
    // (port, ports, backends' port, shifts)
    let all: &str = "destination: {group: {name: kube}";
    let cases = [
        ("port: 80", "}", (80, 1, 80, false)),
        ("port: 8000-8010", "}", (8000, 11, 8000, true)),
        ("port: '{{ 8000 }}-{{ 8010 }}'", "}", (8000, 11, 8000, true)),
        (
            "port: 8000-8010",
            ", port: 9000-9010}",
            (8000, 11, 9000, true),
        ),
        ("port: 8000 - 8010", ", port: 80}", (8000, 11, 80, false)),
        (
            "port: 8000-8000",
            ", port: 9000-9000}",
            (8000, 1, 9000, false),
        ),
        ("port: 1-10", ", port: 65526-65535}", (1, 10, 65526, true)),
    ];
    for (port, destination, expected) in cases {
        let route = route(&[port, &format!("{all}{destination}")]);
        let port = route.backends[0].port;
        assert_eq!((route.port, route.ports, port, route.shifts), expected);
    }
    let fetched = "kube:\n  hosts: {gateway-1: , gateway-2: {ansible_host: 10.0.0.2}}\napp: {ports: 8000-8010}\n\
                   proxies: {target: {group: kube}, routes: {web: {address: '*', port: '{{ app.ports }}', destination: \
                   {group: {name: kube, port: '{{ app.ports }}'}}}}}\n";
    let route = load_one(fetched, &[]).unwrap().plan.routes.remove(0);
    assert_eq!((route.port, route.ports, route.shifts), (8000, 11, true));
    let all = fetched.replace("8000-8010", "1-65535");
    let room = "{gwpool: {limits: {listeners: 65535}}}";
    let route = load_one(&all, &[room]).unwrap().plan.routes.remove(0);
    assert_eq!((route.port, route.ports), (1, 65_535));
}

#[test]
fn ports_that_are_none_and_widths_that_do_not_match_are_refused() {
    let none = "hosts.yml:11:13: wanted a port from 1 to 65535, or a range as 8000-8010, found";
    let narrow = "destination: {hosts: [gateway-1], port: 9000-9005}";
    refuse(&[
        (&["port: 0-10"], none),
        (
            &["port: 8010-8000"],
            "found \"8010-8000\"; a range goes upwards",
        ),
        (&["port: 65530-65536"], none),
        (
            &["port: 8000:8010"],
            "the ends of a range stand beside a `-`",
        ),
        (&["port: 8000-"], none),
        (&["port: -80"], none),
        (&["port: 80.5"], none),
        (&["port: [80, 81]"], none),
        (
            &["port: 8000-8010", narrow],
            "hosts.yml:11:47: wanted one destination port, or a range as wide as the route's (8000-8010: 11 ports, at \
             hosts.yml:10:13), found \"9000-9005\"; the range is of 6 ports",
        ),
        (
            &["port: 80", narrow],
            "wanted one destination port, as the route listens on one (80 at hosts.yml:10:13), found \"9000-9005\"; \
             the range is of 6 ports",
        ),
        (
            &["destination: {group: {name: kube, port: 1-2}, port: 2-3}"],
            "wanted one destination port (2-3 at ",
        ),
    ]);
}

/// Errors of two routes, each with these ports and words.
fn beside(web: &str, other: &str) -> Vec<String> {
    let route = |name: &str, words: &str| {
        format!("    {name}: {{destination: {{hosts: [gateway-1]}}, {words}}}\n")
    };
    let routes = route("web", web) + &route("other", other);
    let text = format!(
        "kube: {{hosts: {{gateway-1: }}}}\nproxies:\n  target: {{group: kube}}\n  routes:\n{routes}"
    );
    load_one(&text, &[]).err().unwrap_or_default()
}

#[test]
fn ranges_that_meet_are_refused_with_both_places() {
    let errors = beside("address: '*', port: 8000-8010", "address: '*', port: 8010");
    let expected = "hosts.yml:6:57: the route `other` listens on *:8010/tcp, like `web` on *:8000-8010/tcp \
                    (hosts.yml:5:55); change one";
    assert_eq!(errors, [expected]);
    // Whoever is written later is pointed at, wherever its ports begin.
    let errors = beside("address: '*', port: 8010", "address: '*', port: 8000-8010");
    assert!(
        errors.len() == 1 && errors[0].starts_with("hosts.yml:6:57: the route `other`"),
        "{errors:#?}"
    );
    let meets = |web: &str, other: &str| beside(web, other).len();
    let star = "address: '*', port: 8000-8010";
    assert_eq!(meets(star, "address: '*', port: 8011-8020"), 0);
    assert_eq!(meets(star, "address: '*', port: 7990-7999"), 0);
    assert_eq!(meets(star, "address: '*', port: 7990-8000"), 1);
    assert_eq!(meets(star, "address: '*', port: 8003-8004"), 1);
    assert_eq!(meets(star, "address: '*', port: 8003, mode: udp"), 0);
    assert_eq!(meets(star, "address: 10.0.0.9, port: 8003"), 0);
    let two = "address: [10.0.0.8, 10.0.0.9], port: 1-5";
    assert_eq!(meets(two, "address: 10.0.0.9, port: 5-9"), 1);
    assert_eq!(meets(two, two), 2, "at each address");
}

#[test]
fn a_range_meets_the_widest_before_it_not_only_the_last() {
    let route = |name: &str, ports: &str| {
        format!(
            "    {name}: {{address: '*', port: {ports}, destination: {{hosts: [gateway-1]}}}}\n"
        )
    };
    let text = format!(
        "kube: {{hosts: {{gateway-1: }}}}\nproxies:\n  target: {{group: kube}}\n  routes:\n{}{}{}",
        route("wide", "1-100"),
        route("inside", "10-20"),
        route("after", "90-120"),
    );
    let errors = load_one(&text, &[]).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(
        errors
            .iter()
            .all(|error| error.contains("like `wide` on *:1-100/tcp"))
    );
}
