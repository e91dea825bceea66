//! Which network a word means.

use super::{Network, NetworkError};

/// The network that has this id or this name, or else the one whose id begins so.
///
/// # Errors
/// [`NetworkError::NoWord`]; [`NetworkError::NotFound`]; [`NetworkError::Ambiguous`] where several ids begin so.
pub fn find<'n>(
    networks: impl Iterator<Item = &'n Network> + Clone,
    word: &str,
) -> Result<&'n Network, NetworkError> {
    if word.is_empty() {
        return Err(NetworkError::NoWord);
    }
    let mut exact = networks.clone().filter(|network| network.id.as_str() == word);
    // One of the cluster may have the name of one of this host.
    let named = networks.clone().filter(|network| network.name == word);
    if let Some(found) = exact.next().or_else(|| named.min_by_key(|network| network.scope)) {
        return Ok(found);
    }
    let begins = |network: &&Network| network.id.as_str().starts_with(word);
    let found: Vec<&Network> = networks.filter(begins).collect();
    match found.as_slice() {
        [] => Err(NetworkError::NotFound(word.to_owned())),
        [one] => Ok(one),
        several => Err(NetworkError::Ambiguous {
            word: word.to_owned(),
            count: several.len(),
            by: "based on ID prefix",
        }),
    }
}
