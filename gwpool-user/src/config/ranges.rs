//! Host ranges: `node[03:05]` and `node[a:c]` are three hosts each, `[1:9:2]` steps by two, as in Ansible.
//!
//! A name without `[` stands for itself.
#![forbid(unsafe_code)]

/// Hosts one pattern may stand for.
const HOSTS_MAX: usize = 4_096;

/// The names a key under `hosts` stands for. `Err`: what is wrong with the range.
pub fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let Some((head, rest)) = pattern.split_once('[') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let (range, tail) = rest.split_once(']').ok_or("the range has no `]`")?;
    let (middles, endings) = (steps(range)?, expand(tail)?);
    if middles.len() * endings.len() > HOSTS_MAX {
        return Err(format!("the range stands for more than {HOSTS_MAX} hosts"));
    }
    let names = |middle: &String| -> Vec<String> {
        endings
            .iter()
            .map(|ending| format!("{head}{middle}{ending}"))
            .collect()
    };
    Ok(middles.iter().flat_map(names).collect())
}

fn steps(range: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match parts[..] {
        [first, last] => (if first.is_empty() { "0" } else { first }, last, 1),
        [first, last, step] => (
            first,
            last,
            step.parse().map_err(|_| "the step is no number")?,
        ),
        _ => return Err("a range is `[first:last]`".to_owned()),
    };
    let letter = |text: &str| match text.as_bytes() {
        [byte] if byte.is_ascii_alphabetic() => Some(*byte),
        _ => None,
    };
    let (from, to) = match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(from), Ok(to)) => (from, to),
        _ => match (letter(first), letter(last)) {
            (Some(from), Some(to)) => (u32::from(from), u32::from(to)),
            _ => return Err("a range is of numbers or of letters".to_owned()),
        },
    };
    let is_wide = to.abs_diff(from) as usize >= HOSTS_MAX;
    if from > to || step == 0 || is_wide {
        return Err(format!("a range goes upwards, at most {HOSTS_MAX} hosts"));
    }
    let name = |n: u32| match letter(first) {
        Some(_) => char::from_u32(n).map(String::from).unwrap_or_default(),
        None => format!(
            "{n:0width$}",
            width = if first.starts_with('0') {
                first.len()
            } else {
                0
            }
        ),
    };
    Ok((from..=to).step_by(step).map(name).collect())
}

#[cfg(test)]
mod tests;
