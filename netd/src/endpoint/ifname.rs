//! The name of an interface that is given none.

use netstate::{LinkName, NameError};

/// What Docker's begin with.
const PREFIX: &str = "eth";

/// The prefix with the lowest number that no link has.
///
/// # Errors
/// Where no number fits behind the prefix, of which there are at least a thousand.
pub fn next_free(
    prefix: Option<&str>,
    is_taken: impl Fn(&LinkName) -> bool,
) -> Result<LinkName, NameError> {
    let prefix = prefix.unwrap_or(PREFIX);
    let mut number = 0_u32;
    loop {
        let name = LinkName::new(format!("{prefix}{number}"))?;
        if !is_taken(&name) {
            return Ok(name);
        }
        number += 1;
    }
}
