//! Numbers that a seed repeats.

use std::io::Write as _;

use anyhow::Result;

/// Knuth's MMIX generator.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From `E2E_SEED`, or a new seed, which is printed.
    ///
    /// # Errors
    ///
    /// When that is no number.
    pub fn seeded() -> Result<Self> {
        let seed = std::env::var("E2E_SEED").ok().map(|text| text.parse()).transpose()?;
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        writeln!(std::io::stderr(), "E2E_SEED={seed}")?;
        Ok(Self(seed))
    }

    /// The next one, below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// One of these; the index of none is 0.
    pub fn index(&mut self, of: usize) -> usize {
        // It was a number of that type before.
        usize::try_from(self.below(of.max(1) as u64)).unwrap_or_default()
    }
}
