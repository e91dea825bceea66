//! Links of networks that nobody knows any more, as after damage to the file. They may be in use, so
//! they stay; who runs the host is told which they are.

use std::collections::BTreeSet;

use kernel::{Error, Kernel};
use netstate::{Link, LinkName, Ns};

use crate::network::{Device, Network};

/// Tells of them in the log. Must be called on a thread in the host's network namespace.
pub(super) fn tell(networks: &[Network]) {
    match find(&mut Kernel::open(None), networks) {
        Ok(orphans) => orphans.iter().for_each(|name| {
            tracing::warn!(
                link = %name,
                "a link is of a network that is not known any more; if nobody uses it: ip link del {name}"
            );
        }),
        Err(error) => {
            let error = cni::ErrorChain(&error);
            tracing::warn!(%error, "links without a network cannot be looked for");
        }
    }
}

fn find(kernel: &mut Kernel, networks: &[Network]) -> Result<Vec<LinkName>, Error> {
    let devices = networks.iter().filter_map(|network| Device::of(network).ok().flatten());
    let known: BTreeSet<String> =
        devices.flat_map(|device| device.standings).map(|it| it.alias).collect();
    let marked =
        kernel.links_by_alias_prefix(&Ns::Host, Device::MARK)?.into_iter().map(|there| there.link);
    let unknown = |link: &Link| link.alias.as_ref().is_none_or(|alias| !known.contains(alias));
    Ok(marked.filter(unknown).map(|link| link.name).collect())
}

#[cfg(test)]
mod tests {
    use kernel::testing::{in_new_host, sh};

    use super::*;
    use crate::network::{Moment, Pools, of_new_host};

    #[test]
    fn a_bridge_of_a_network_that_is_not_known_any_more_is_found_and_no_other_is() {
        in_new_host(|| {
            let mut networks = of_new_host(Moment::now(), &Pools::new(None), &[], &[]);
            networks.truncate(1);
            let alias = Device::of(&networks[0]).unwrap().unwrap().standings[0].alias.clone();
            sh(&format!(
                "ip link add known type bridge; ip link set known alias {alias}
                 ip link add lost type bridge; ip link set lost alias netd:network:0123456789ab
                 ip link add theirs type bridge; ip link set theirs alias mine
                 ip link add bare type bridge"
            ));
            let found = find(&mut Kernel::open(None), &networks).unwrap();
            assert_eq!(found, [LinkName::fixed("lost")]);
        });
    }
}
