//! Whether the machine is ours: others' work before a shot is waited out, during it is told by what the CPUs did that
//! was not ours.

use std::fs;
use std::time::{Duration, Instant};

/// How long the machine is watched before a shot.
const LOOK: Duration = Duration::from_millis(150);
/// Share of a look that the CPUs may be busy with others' work.
const BUSY: f64 = 0.08;
/// How long a quiet moment is waited for; then the shot is taken all the same, and judged by itself.
const PATIENCE: Duration = Duration::from_secs(8);
/// Share of a contest's time that may go by with waiting, all shots taken together: one part in so many.
const WAITING: u32 = 5;
/// Share of a shot that the machine may have been taken from us.
const STOLEN: f64 = 0.02;
/// Jiffies below which nothing is said: the clock is no finer.
const GRAIN: u64 = 2;

/// What all CPUs have done, jiffies (proc_stat(5)).
#[derive(Clone, Copy, Default)]
struct Jiffies {
    /// Everything but waiting.
    busy: u64,
    /// At a low priority, which nothing here is, or in other machines on the same host.
    others: u64,
    /// All.
    total: u64,
}

impl Jiffies {
    fn now() -> Jiffies {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let field: Vec<u64> = line
            .split_whitespace()
            .skip(1)
            .map(|word| word.parse().unwrap_or(0))
            .collect();
        let of = |place: usize| field.get(place).copied().unwrap_or(0);
        let (idle, total) = (of(3) + of(4), field.iter().take(8).sum());
        Jiffies {
            busy: u64::saturating_sub(total, idle),
            others: of(1) + of(7),
            total,
        }
    }

    fn since(self, before: Jiffies) -> Jiffies {
        Jiffies {
            busy: self.busy.saturating_sub(before.busy),
            others: self.others.saturating_sub(before.others),
            total: self.total.saturating_sub(before.total),
        }
    }
}

/// How long may still be waited, all shots taken together.
pub struct Patience(Duration);

impl Patience {
    /// Of a contest that has this much time.
    pub fn of(time: Duration) -> Patience {
        Patience(time / WAITING)
    }
}

/// A shot that is being taken.
pub struct Watch(Jiffies);

impl Watch {
    /// Waits for a quiet moment.
    pub fn begin(patience: &mut Patience) -> Watch {
        let start = Instant::now();
        loop {
            let before = Jiffies::now();
            std::thread::sleep(LOOK);
            let now = Jiffies::now();
            let seen = now.since(before);
            let quiet = seen.busy <= GRAIN || (seen.busy as f64) < BUSY * seen.total as f64;
            let waited = start.elapsed();
            if quiet || waited > PATIENCE.min(patience.0) {
                patience.0 = patience.0.saturating_sub(waited.saturating_sub(LOOK));
                return Watch(now);
            }
        }
    }

    /// What has disturbed it, if anything has.
    pub fn end(self) -> Option<String> {
        let seen = Jiffies::now().since(self.0);
        let share = seen.others as f64 / (seen.total.max(1)) as f64;
        (seen.others > GRAIN && share > STOLEN)
            .then(|| format!("others had {:.0} % of the machine", 100.0 * share))
    }
}
