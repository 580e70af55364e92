//! Waiting for a condition, with a limit: the only way anything here waits. A limit that is reached is an error
//! that says what did not come, and why it was not there at the last look.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PACE: Duration = Duration::from_millis(10);

/// Asks until there is an answer; an error says what was waited for, how long, and the last reason it was not there.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let begin = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if begin.elapsed() > limit => {
                bail!("waited {} s for {what}: {error:#}", limit.as_secs_f32())
            }
            Err(_) => std::thread::sleep(PACE),
        }
    }
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, limit, || {
        anyhow::ensure!(holds(), "it did not come true");
        Ok(())
    })
}
