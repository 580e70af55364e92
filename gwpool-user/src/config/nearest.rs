//! The known word that is nearest to an unknown one.
//!
//! Pure. How often it may be asked is for [`Findings`](super::report::Findings).
#![forbid(unsafe_code)]

/// Words that are listed when none is near.
const LISTED_MAX: usize = 24;

/// "did you mean", or what there is to choose from.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    let length = word.chars().count();
    let mut most = 1 + length / 4;
    let mut nearest = None;
    for other in known {
        // So many letters have to come or go at least.
        if other.chars().count().abs_diff(length) > most {
            continue;
        }
        let far = distance(word, other);
        if far < most || (far == most && nearest.is_none()) {
            (most, nearest) = (far, Some(other));
        }
        if nearest.is_some() && most <= 1 {
            break;
        }
    }
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if (1..=LISTED_MAX).contains(&known.len()) => {
            format!("there are: {}", known.join(", "))
        }
        None => String::new(),
    }
}

/// Letters to change, add, remove or swap with the next, to come from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests;
