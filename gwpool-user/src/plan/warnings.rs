//! What a plan would stumble over on this host, without being impossible: said loudly, with what to do.
#![forbid(unsafe_code)]

use super::plan::Plan;
use crate::host::Host;

/// One line each.
pub fn warnings(plan: &Plan, host: &Host) -> Vec<String> {
    let mut warnings = Vec::new();
    for network in &plan.networks {
        let interface = &network.interface;
        let Some(link) = host.links.get(interface) else {
            continue;
        };
        if !link.up {
            warnings.push(format!(
                "interface {interface} is down: ip link set {interface} up"
            ));
        }
        if !link.forwarding {
            warnings.push(format!(
                "forwarding is off on {interface}, so what comes in there is not sent on (counted as \
                 forwarding_disabled): sysctl -w net.ipv4.conf.{interface}.forwarding=1, or net.ipv4.ip_forward=1"
            ));
        }
    }
    warnings
}
