//! Pauses between attempts: longer each time, and different on each host.

use std::time::Duration;

/// The pauses between attempts that fail.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses that double from `first` to `longest`, each shortened by up to a half at random.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = jittered(self.next, random());
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    /// Waits for the next pause to pass.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.pause()).await;
    }

    /// Begins with the first pause again, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between the half of it and all of it.
fn jittered(pause: Duration, random: u64) -> Duration {
    let half = pause / 2;
    let steps = u32::try_from(random % 1024).unwrap_or_default();
    half + half * steps / 1023
}

/// Eight random bytes; none of them is a secret.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    // Fails only before the kernel has entropy, and then hosts are apart by chance anyway.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::INSECURE);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let longest: Vec<u128> = (0..6)
            .map(|_| {
                let longest = backoff.next;
                let pause = backoff.pause();
                assert!(longest / 2 <= pause && pause <= longest, "{pause:?} of {longest:?}");
                longest.as_millis()
            })
            .collect();
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(100));
    }
}
