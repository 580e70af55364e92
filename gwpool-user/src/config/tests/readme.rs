//! What README shows can be typed.
#![forbid(unsafe_code)]

use super::*;

const POOL: &str = "kube_gateway_pool:\n  hosts:\n    gateway-1:\n    gateway-2: {ansible_host: 192.168.1.2}\n    \
                    gateway-3: {ansible_host: 192.168.1.3}\n";
const TARGET: &str = "proxies:\n  target: {group: kube_gateway_pool}\n";

#[test]
fn the_routes_in_readme_are_good() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks: Vec<&str> = readme
        .split("```\n")
        .filter(|block| block.starts_with("proxies:\n"))
        .collect();
    assert_eq!(blocks.len(), 2, "the routes and the weights");
    for block in blocks {
        let whole = match block.contains("target:") {
            true => block.to_owned(),
            false => block.replacen("proxies:\n", TARGET, 1),
        };
        let loaded = load_one(&format!("{POOL}{whole}"), &[]);
        assert!(!loaded.unwrap().plan.routes.is_empty(), "{whole}");
    }
}
