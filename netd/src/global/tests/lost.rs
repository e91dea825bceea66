//! Containers whose addresses are another's.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::hosts::{DAY, known, on_store, pair, store, until, wanted};
use crate::global::{Wanted, snapshot};

#[test]
fn nobody_loses_an_address_by_what_was_known_before_a_kill() {
    on_store(async |shared, dir| {
        let (a, b, network) = pair(&shared, dir, "10.9.0.0/24").await;
        let (id, none) = (&network.id, BTreeSet::new());
        let ip: IpAddr = "10.9.0.40".parse().unwrap();
        b.cluster.make_room(id, &none, &[ip]).await.unwrap();
        b.cluster.publish(&wanted(&network, "b", "theirs", "10.9.0.40/24")).await.unwrap();
        let before = shared.list("/netd/v1/global/").await.unwrap();
        b.cluster.publish(&Wanted::new()).await.unwrap();
        for (entry, _) in b.cluster.look(|view| view.of(id).unwrap().blocks.clone()) {
            b.cluster.give_back(vec![b.cluster.0.keys.block(id, entry)]).await.unwrap();
        }
        until(&a.cluster, "nobody has it", |view| {
            view.of(id).is_some_and(|of| of.blocks.is_empty() && of.endpoints.is_empty())
        })
        .await;
        a.cluster.make_room(id, &none, &[ip]).await.unwrap();

        let local = store(&dir.join("snapshot.redb"));
        let (mut snapshot, ..) = snapshot::Snapshot::open(Arc::clone(&local)).await.unwrap();
        snapshot.keep(before, Some(crate::lease::since_boot())).await.unwrap();
        let again = known(&shared, &local, "a", DAY).await;
        let used = BTreeSet::from([ip]);
        assert_eq!(again.look(|view| view.of(id)?.claimant(ip).map(str::to_owned)).unwrap(), "b");
        assert_eq!(again.lost_addresses(id, &used), []);
        let now = shared.list("/netd/v1/global/").await.unwrap();
        again.take(&crate::store::Followed::Listed(now));
        assert_eq!(again.look(|view| view.of(id)?.claimant(ip).map(str::to_owned)).unwrap(), "a");
        assert_eq!(again.lost_addresses(id, &used), []);
    });
}
