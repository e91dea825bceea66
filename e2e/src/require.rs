//! What a test needs of the machine: nothing is skipped in silence.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Tells whether a test can run: `what` names what it needs, `present` whether that is here.
///
/// When it is not, a line `SKIP test: what` goes past the test harness' capture to standard error.
///
/// # Errors
///
/// When it is not present and `E2E_REQUIRE=1`, as in continuous integration.
pub fn require(what: &str, present: bool) -> Result<bool> {
    let strict = std::env::var_os("E2E_REQUIRE").is_some_and(|value| value == "1");
    decide(what, present, strict)
}

/// [`require`] for programs: all of `names` must be found.
///
/// # Errors
///
/// As [`require`].
pub fn require_programs(names: &[&str]) -> Result<bool> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| program(name).is_none()).collect();
    require(&format!("the program(s) {}", missing.join(", ")), missing.is_empty())
}

/// Finds a program in the directories commands of the lab look in.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    crate::command::PATH.split(':').map(|dir| Path::new(dir).join(name)).find(|path| path.exists())
}

fn decide(what: &str, present: bool, strict: bool) -> Result<bool> {
    if present {
        return Ok(true);
    }
    if strict {
        bail!("this machine lacks {what} (E2E_REQUIRE=1 allows no skip); run e2e/setup");
    }
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    writeln!(std::io::stderr(), "SKIP {test}: this machine lacks {what}")?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::decide;

    #[test]
    fn what_is_missing_skips_a_test_but_fails_where_no_skip_is_allowed() {
        assert!(decide("a thing", true, true).unwrap());
        assert!(!decide("a thing", false, false).unwrap());
        assert!(decide("a thing", false, true).unwrap_err().to_string().contains("a thing"));
    }
}
