//! How this host stands with the others that share networks.

use std::time::Duration;

use super::cluster::Cluster;

/// How this host stands with the others that share networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// How many networks they share.
    pub networks: usize,
    /// Why this host gives no sign of life at present.
    pub silent: Option<String>,
    /// When the store has confirmed last what this host claims, since boot.
    pub confirmed: Option<Duration>,
    /// Whether new addresses may be given out, as far as that goes.
    pub allocates: bool,
    /// What is known is of a time before this agent's start: the store has told nothing since.
    pub remembered: bool,
}

impl Membership {
    /// What somebody has to do something about.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let silent = self.silent.as_ref().map(|why| {
            format!("for the hosts that share networks this one is down, or will be in 30 s: {why}")
        });
        let unconfirmed = (!self.allocates).then(|| {
            "no container gets a new address of a network of the cluster: etcd has not confirmed for half of \
             --subnet-ttl what this host has"
                .to_owned()
        });
        let remembered = self.remembered.then(|| {
            "what is known of networks of the cluster is of before this start: etcd has told nothing \
             since"
                .to_owned()
        });
        [silent, unconfirmed, remembered].into_iter().flatten().collect()
    }
}

impl Cluster {
    /// How this host stands; nothing is to be told where no network is shared.
    #[must_use]
    pub fn membership(&self) -> Option<Membership> {
        let networks = self.look(|view| view.networks().count());
        let confirmed = self.0.confirmed.borrow();
        (networks > 0).then(|| Membership {
            networks,
            silent: confirmed.trouble.clone(),
            confirmed: confirmed.at,
            allocates: confirmed.may_allocate(),
            remembered: !self.is_told(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_host_that_gives_signs_of_life_and_is_confirmed_there_is_nothing_to_tell() {
        let well = Membership { networks: 1, allocates: true, ..Membership::default() };
        assert_eq!(well.troubles(), Vec::<String>::new());
        let silent = Membership { silent: Some("no etcd answers".into()), ..well.clone() };
        assert!(silent.troubles()[0].ends_with("in 30 s: no etcd answers"));
        assert!(
            Membership { allocates: false, ..well.clone() }.troubles()[0].contains("--subnet-ttl")
        );
        assert!(
            Membership { remembered: true, ..well }.troubles()[0].contains("of before this start")
        );
    }
}
