//! Several flannel networks on one host: `--networks`, as flannel had it up to 0.7.

use super::Options;
use crate::config::store::StoreOptions;

/// A network by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name: that of its files, and of its keys below `--etcd-prefix`.
    pub name: String,
    /// The prefix of its keys, where it is another.
    pub prefix: Option<String>,
}

impl Options {
    /// The options of each network of this host: these, where it is in one that has no name.
    #[must_use]
    pub fn each(&self) -> Vec<Self> {
        if self.networks.is_empty() {
            return vec![self.clone()];
        }
        self.networks.iter().map(|network| self.of(network)).collect()
    }

    fn of(&self, network: &Named) -> Self {
        Self {
            network: Some(network.name.clone()),
            networks: Vec::new(),
            subnet_file: self.subnet_dir.join(format!("{}.env", network.name)),
            store: network.store(&self.store),
            ..self.clone()
        }
    }
}

impl Named {
    /// Reads `NAME` or `NAME=PREFIX`.
    ///
    /// # Errors
    /// A sentence without the option's name.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (name, prefix) = match text.split_once('=') {
            Some((name, prefix)) => (name, Some(prefix.to_owned())),
            None => (text, None),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || name.len() > LONGEST || !name.chars().all(fits) {
            return Err(format!(
                "{name:?} is no name of a network: it begins with a letter or digit, has letters, \
                 digits, -, _ and ., and up to {LONGEST} of them"
            ));
        }
        if prefix.as_ref().is_some_and(|prefix| prefix.is_empty() || prefix.contains('=')) {
            return Err(format!(
                "{text:?} has no prefix after the name: write NAME=PREFIX, or NAME"
            ));
        }
        Ok(Self { name: name.to_owned(), prefix })
    }

    /// Where its keys are in a store.
    pub(super) fn store(&self, store: &StoreOptions) -> StoreOptions {
        let below = || format!("{}/{}", store.etcd_prefix.trim_end_matches('/'), self.name);
        let etcd_prefix = self.prefix.clone().unwrap_or_else(below);
        StoreOptions { etcd_prefix, ..store.clone() }
    }
}

/// Of a name, in bytes.
const LONGEST: usize = 64;

/// Checks that no network's keys are where flannel would take them for another's.
///
/// # Errors
/// A sentence with both.
pub(super) fn check(options: &Options) -> Result<(), String> {
    let mut known: Vec<(String, String)> = Vec::new();
    if !options.networks.is_empty() {
        let keys = options.store.keyspace().map_err(|error| error.to_string())?;
        known.push((format!("--etcd-prefix {}", options.store.etcd_prefix), keys.config()));
    }
    for (network, of_it) in options.networks.iter().zip(options.each()) {
        let name = &network.name;
        let keys = of_it.store.keyspace().map_err(|error| format!("network {name}: {error}"))?;
        let config = keys.config();
        for (other, theirs) in &known {
            let same = config == *theirs && !other.starts_with("--");
            if same || is_in(&config, theirs) || is_in(theirs, &config) {
                return Err(format!(
                    "networks: the keys of {name} are at {:?}, where those of {other} are: give it \
                     another name, or another prefix by {name}=PREFIX",
                    of_it.store.etcd_prefix
                ));
            }
        }
        known.push((format!("network {name}"), config));
    }
    Ok(())
}

/// Whether one network's `config` is among another's leases: flannel watches `<prefix>/subnets` and all
/// that begins so.
fn is_in(config: &str, theirs: &str) -> bool {
    let base = theirs.strip_suffix("config").unwrap_or(theirs);
    config.starts_with(&format!("{base}subnets")) || config.starts_with(&format!("{base}config/"))
}
