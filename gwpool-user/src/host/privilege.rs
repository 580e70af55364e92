//! Whether this process may do what the daemon does: the capabilities that loading and attaching take.
//!
//! They are named before anything is tried, because the kernel's own answer is a bare EPERM.

use std::fs;

/// Capabilities by number (`linux/capability.h`). `CAP_SYS_ADMIN` stands for the other two of them.
const NEEDED: [(&str, u32); 3] = [("CAP_NET_ADMIN", 12), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];
const SYS_ADMIN: u32 = 21;

/// The names of those that are missing.
pub fn missing() -> Vec<&'static str> {
    // Without /proc nothing is known, and the kernel will say.
    fs::read_to_string("/proc/self/status")
        .map(|status| missing_in(&status))
        .unwrap_or_default()
}

fn missing_in(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(held) = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()) else {
        return Vec::new();
    };
    let has = |number: u32| held & (1 << number) != 0;
    let stood_for = |number: u32| number > 32 && has(SYS_ADMIN);
    let lacks = |(_, number): &&(&str, u32)| !(has(*number) || stood_for(*number));
    NEEDED.iter().filter(lacks).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests;
