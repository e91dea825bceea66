//! Waiting for a named condition, the only place of this crate that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The bound of most waits: long for a busy machine, short for a person who reads the failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Waits until `condition` holds, looking after pauses that grow from 1 to 50 milliseconds.
///
/// # Errors
///
/// When the condition does not hold within `bound`: names `what` was waited for.
pub fn wait_until(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, bound, || Ok(condition().then_some(())))
}

/// Waits until `attempt` gives a value; its last error, if any, is told when the bound is over.
///
/// # Errors
///
/// When no value came within `bound`: names `what` was waited for, with the last attempt's error.
pub fn wait_for<T>(
    what: &str,
    bound: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + bound;
    let mut pause = FIRST_PAUSE;
    loop {
        let last = attempt();
        if let Ok(Some(value)) = last {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            let text = || format!("waited {} s in vain for: {what}", bound.as_secs_f32());
            match last {
                Err(error) => return Err(error).with_context(text),
                Ok(_) => bail!(text()),
            }
        }
        #[expect(clippy::disallowed_methods, reason = "the pause of the bounded wait itself")]
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
