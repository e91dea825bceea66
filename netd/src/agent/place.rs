//! A network's place among those of this host: what two of them cannot both have, and who has it.

mod clash;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cni::ErrorChain;

use super::memory::{Memory, Remembered};
use super::{AgentError, force};
use crate::config::network::NetworkConfig;
use crate::config::options::Options;
use crate::lease::{ConfigError, Host, Leases};
use crate::reconcile::{Part, Share};
use crate::registry::Claims;
use crate::store::Store;

/// A network's place. Nobody is in the way of the only one.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// Empty for the only one.
    name: String,
    /// Told of what is taken: no network of this host alone may have addresses of it.
    claims: Claims,
    /// What is in force of all, or was when this host was in them last, and what is to come into force.
    taken: Arc<Mutex<Taken>>,
    /// Those that are named before: they come first where two are new.
    earlier: Vec<(String, Leases)>,
    /// Its part in what the loops share.
    pub(super) part: Part,
}

type Taken = BTreeMap<String, Vec<NetworkConfig>>;

/// The leases and places of all networks. What this host was in before has its place from the start,
/// so that nothing of it is taken or removed by another.
///
/// # Errors
/// Where a prefix cannot be used, or the memory not be read.
pub(super) async fn all(
    each: &[Options],
    local: &Arc<dyn Store>,
    store: &Arc<dyn Store>,
    host: &Host,
    claims: &Claims,
) -> Result<Vec<(Leases, Place)>, AgentError> {
    let (taken, parts) = (Arc::default(), Part::default());
    let (mut all, mut earlier) = (Vec::new(), Vec::new());
    for options in each {
        let keys = options.store.keyspace().map_err(AgentError::Prefix)?;
        let leases = Leases::new(Arc::clone(store), keys, host.clone());
        let memory = Memory::new(Arc::clone(local), &options.store.etcd_prefix);
        let mut place = Place {
            name: options.network.clone().unwrap_or_default(),
            claims: claims.clone(),
            taken: Arc::clone(&taken),
            earlier: earlier.clone(),
            part: Part::default(),
        };
        let mut share = Share::default();
        if let Some(Remembered { config, held, .. }) = memory.recall().await?
            && place.take(&config).is_ok()
        {
            share.traffic = force::traffic(&config, &held.subnet, options);
        }
        let Some(name) = &options.network else {
            all.push((leases, place));
            continue;
        };
        share.before = memory.networks().await?;
        place.part = parts.beside(name, share);
        earlier.push((name.clone(), leases.clone()));
        all.push((leases, place));
    }
    Ok(all)
}

impl Place {
    /// Takes what a configuration needs of this host, in the place of what was taken before.
    ///
    /// # Errors
    /// A sentence, where another network has it.
    pub(super) fn take(&self, config: &NetworkConfig) -> Result<(), String> {
        let mut taken = self.lock();
        self.fits(&taken, config)?;
        taken.insert(self.name.clone(), vec![config.clone()]);
        self.claim(&taken);
        Ok(())
    }

    /// Takes what a configuration needs of this host beside what is in force, until one of both is
    /// said to be so by [`Self::settle`].
    ///
    /// # Errors
    /// A sentence, where another network has it.
    pub(super) fn reserve(&self, config: &NetworkConfig) -> Result<(), String> {
        let mut taken = self.lock();
        self.fits(&taken, config)?;
        taken.entry(self.name.clone()).or_default().push(config.clone());
        self.claim(&taken);
        Ok(())
    }

    /// This is in force, and what else was taken is anybody's.
    pub(super) fn settle(&self, config: &NetworkConfig) {
        let mut taken = self.lock();
        taken.insert(self.name.clone(), vec![config.clone()]);
        self.claim(&taken);
    }

    /// The same for a network that starts: of two that are new, the one that is named first comes
    /// first.
    ///
    /// # Errors
    /// A sentence, where another network has it or will have it, or the store does not say.
    pub(super) async fn take_first(&self, config: &NetworkConfig) -> Result<(), String> {
        self.fits(&self.lock(), config)?;
        for (name, leases) in &self.earlier {
            if self.lock().contains_key(name) {
                continue;
            }
            match leases.config().await {
                Ok(theirs) => clash::between((name, &theirs), (&self.name, config))
                    .map_err(|clash| clash.to_string())?,
                Err(ConfigError::Store(error)) => return Err(ErrorChain(&error).to_string()),
                Err(ConfigError::Absent { .. } | ConfigError::Invalid { .. }) => {}
            }
        }
        self.take(config)
    }

    fn claim(&self, taken: &Taken) {
        let own = taken.get(&self.name).into_iter().flatten();
        let both = own.flat_map(|config| {
            let v6 = config.ipv6.map(|(network, _)| network.into());
            std::iter::once(config.network.into()).chain(v6)
        });
        self.claims.set(&self.name, both.collect());
    }

    fn fits(&self, taken: &Taken, config: &NetworkConfig) -> Result<(), String> {
        for (name, all) in taken.iter().filter(|(name, _)| **name != self.name) {
            for theirs in all {
                clash::between((name, theirs), (&self.name, config))
                    .map_err(|clash| clash.to_string())?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Whoever has panicked has left nothing half done here.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(network: &str) -> NetworkConfig {
        let text = format!(r#"{{"Network":"{network}","Backend":{{"Type":"host-gw"}}}}"#);
        NetworkConfig::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_in_force_stays_taken_until_the_next_configuration_is() {
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let place = |name: &str| Place {
            name: name.to_owned(),
            taken: Arc::clone(&taken),
            ..Place::default()
        };
        let (blue, green) = (place("blue"), place("green"));
        let (old, new) = (config("10.1.0.0/16"), config("10.2.0.0/16"));
        blue.take(&old).unwrap();
        blue.reserve(&new).unwrap();
        for wanted in [&old, &new] {
            assert!(green.take(wanted).unwrap_err().contains("networks blue and green overlap"));
        }
        // It could not be brought into force: the old one is in force as before.
        blue.settle(&old);
        assert!(green.take(&old).is_err());
        green.take(&new).unwrap();
        assert!(blue.reserve(&new).unwrap_err().contains("overlap"));
        green.settle(&config("10.3.0.0/16"));
        blue.reserve(&new).unwrap();
        blue.settle(&new);
        green.take(&old).unwrap();
    }
}
