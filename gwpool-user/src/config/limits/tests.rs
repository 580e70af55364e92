//! README's table of limits is what the code keeps.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;

#[test]
fn readme_has_each_limit_with_its_default_and_its_edges() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let power = |number: u32| match number {
        _ if number.is_power_of_two() && number > 1 << 16 => format!("2^{}", number.ilog2()),
        _ if (number + 1).is_power_of_two() => format!("2^{} - 1", (number + 1).ilog2()),
        _ => number.to_string(),
    };
    for bound in PLAIN.iter().chain(&DERIVED) {
        let (key, mut defaults) = (bound.key, Limits::default());
        let default = match key {
            "flows_per_source" => "a quarter of `flows`".to_owned(),
            "udp_flows" => "half of `flows`".to_owned(),
            "listeners" => format!("{LISTENERS}, or `routes`"),
            _ => (bound.of)(&mut defaults).to_string(),
        };
        let most = match key {
            "flows_per_source" | "udp_flows" => "`flows`".to_owned(),
            _ => power(bound.most),
        };
        let row = format!("| `{key}` | {default} | {}, {most} |", bound.least);
        let found = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")));
        assert!(
            found.is_some_and(|line| line.starts_with(&row)),
            "wanted {row}, found {found:?}"
        );
    }
}
