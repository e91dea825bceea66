//! Hosts on one store.

pub(super) mod hosts;
mod lost;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;
use crate::lease::Host;
use crate::network::Network;
use crate::store::Store;
use hosts::{DAY, On, endpoint, host, known, make, on_store, pair, store, until, wanted};

#[test]
fn of_networks_that_are_made_at_once_no_two_have_a_name_a_number_or_an_address() {
    on_store(async |shared, dir| {
        let hosts = [host(&shared, dir, "a").await, host(&shared, dir, "b").await];
        let mut making = JoinSet::new();
        for number in 0..10 {
            for (at, on) in hosts.iter().enumerate() {
                let cluster = on.cluster.clone();
                // Every name is asked for by both.
                let name = format!("n{number}");
                making.spawn(async move { (at, make(&cluster, &name, "").await) });
            }
        }
        let made = making.join_all().await;
        let (fine, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(|(_, it)| it.is_ok());
        assert_eq!((fine.len(), refused.len()), (10, 10));
        for (_, why) in refused {
            assert!(why.unwrap_err().to_string().contains("already exists"));
        }
        for on in &hosts {
            until(&on.cluster, "all networks", |view| view.networks().count() == 10).await;
            let (subnets, vnis) = on.cluster.look(|view| {
                let all: Vec<Network> = view.networks().map(|it| it.value.clone()).collect();
                let subnets: BTreeSet<_> = all.iter().map(|it| it.subnets[0].net).collect();
                (subnets, all.iter().flat_map(Network::vnis).collect::<BTreeSet<_>>())
            });
            assert_eq!((subnets.len(), vnis.len()), (10, 10));
        }
    });
}

#[test]
fn hosts_give_out_addresses_of_blocks_of_their_own_until_there_are_none() {
    on_store(async |shared, dir| {
        // Five blocks of one address.
        let (a, b, network) = pair(&shared, dir, "10.9.0.0/29").await;
        let id = &network.id;
        let mut taken = [BTreeSet::new(), BTreeSet::new()];
        for number in 0..5 {
            let (on, taken) = (&[&a, &b][number % 2].cluster, &mut taken[number % 2]);
            assert!(on.make_room(id, taken, &[]).await.unwrap(), "{number}: nothing was claimed");
            let own = on.share(id, taken, |share| share.own()).unwrap();
            let free = own.into_iter().map(|net| net.ip()).find(|ip| !taken.contains(ip));
            taken.insert(free.unwrap());
        }
        assert!(taken[0].is_disjoint(&taken[1]));
        assert_eq!(taken.iter().map(BTreeSet::len).sum::<usize>(), 5);
        let error = b.cluster.make_room(id, &taken[1], &[]).await.unwrap_err().to_string();
        let could = b.cluster.could_make_room(id, &taken[1]).unwrap_err().to_string();
        assert_eq!(error, could, "it is known by now");
        assert!(
            error.contains("hosts have all IPv4 addresses of it in blocks: a 3, b 2"),
            "{error}"
        );
    });
}

#[test]
fn where_there_is_room_nobody_is_asked_and_a_block_that_runs_out_has_a_next_one() {
    on_store(async |shared, dir| {
        let a = host(&shared, dir, "a").await;
        let network = make(&a.cluster, "n", "10.9.0.0/24").await.unwrap();
        let id = &network.id;
        let mut used = BTreeMap::from([(id.clone(), BTreeSet::new())]);
        assert!(a.cluster.make_room(id, &used[id], &[]).await.unwrap());
        let blocks = || a.cluster.look(|view| view.of(id).unwrap().blocks.len());
        for last in 2..=7 {
            used.get_mut(id).unwrap().insert(IpAddr::from([10, 9, 0, last]));
            assert!(!a.cluster.make_room(id, &used[id], &[]).await.unwrap());
            assert!(a.cluster.tend(&used, &mut Spare::default()).await.unwrap().is_empty());
            assert_eq!(blocks(), 1, "half is free");
        }
        used.get_mut(id).unwrap().insert([10, 9, 0, 8].into());
        a.cluster.tend(&used, &mut Spare::default()).await.unwrap();
        assert_eq!(blocks(), 2);
    });
}

#[test]
fn an_address_that_is_asked_for_is_claimed_with_its_block_or_alone_and_not_where_a_container_has_it()
 {
    on_store(async |shared, dir| {
        let (a, b, network) = pair(&shared, dir, "10.9.0.0/24").await;
        let (id, none) = (&network.id, BTreeSet::new());
        let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
        for never in ["10.9.0.0", "10.9.0.1", "10.9.0.255", "10.8.0.9", "fd00::9"] {
            // Such addresses are refused where they are taken.
            a.cluster.make_room(id, &none, &[ip(never)]).await.unwrap();
            assert!(!a.cluster.share(id, &none, |share| share.can_be_had(ip(never))).unwrap());
        }
        let keys = Keys::below("/netd/v1");
        assert_eq!(shared.list(&keys.addresses(id)).await.unwrap().entries, []);
        for entry in shared.list(&keys.blocks(id)).await.unwrap().entries {
            a.cluster.give_back(vec![entry.key]).await.unwrap();
        }
        a.cluster.make_room(id, &none, &[ip("10.9.0.40")]).await.unwrap();
        let own = |on: &On| on.cluster.share(id, &none, |share| share.own()).unwrap();
        assert_eq!(own(&a), ["10.9.0.32/28".parse().unwrap()]);

        a.cluster.publish(&wanted(&network, "a", "web", "10.9.0.40/24")).await.unwrap();
        until(&b.cluster, "the endpoint", |view| view.endpoints().count() == 1).await;
        let error = b.cluster.make_room(id, &none, &[ip("10.9.0.40")]).await.unwrap_err();
        assert_eq!(error.to_string(), "10.9.0.40 is in use by container web on host a");

        // It has ended there, and comes up here: it is no address of the other host's any more.
        a.cluster.publish(&Wanted::new()).await.unwrap();
        until(&b.cluster, "its end", |view| view.endpoints().count() == 0).await;
        assert!(b.cluster.make_room(id, &none, &[ip("10.9.0.40")]).await.unwrap());
        assert_eq!(own(&b), ["10.9.0.40/32".parse().unwrap()]);
        until(&a.cluster, "the claim", |view| !view.of(id).unwrap().addresses.is_empty()).await;
        assert!(!a.cluster.share(id, &none, |share| share.has(ip("10.9.0.40"))).unwrap());
        assert!(a.cluster.share(id, &none, |share| share.has(ip("10.9.0.41"))).unwrap());
        let error = a.cluster.make_room(id, &none, &[ip("10.9.0.40")]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "10.9.0.40 is claimed by host b: use another address, or remove its container there"
        );
    });
}

#[test]
fn a_network_with_containers_of_a_host_that_is_there_stays_and_else_all_of_it_goes() {
    on_store(async |shared, dir| {
        let (a, b, network) = pair(&shared, dir, "10.9.0.0/24").await;
        let id = &network.id;
        b.cluster.make_room(id, &BTreeSet::new(), &[]).await.unwrap();
        b.cluster.publish(&wanted(&network, "b", "web", "10.9.0.2/24")).await.unwrap();
        let Err(RemoveError::Active(there)) = a.cluster.remove(&network).await else {
            panic!("it is gone");
        };
        assert_eq!(there, [endpoint("b", "web", "10.9.0.2/24")]);
        until(&b.cluster, "it is as it was", |view| view.endpoints().count() == 1).await;

        // Its host is down.
        let keys = Keys::below("/netd/v1");
        let live = shared.get(&keys.live("b")).await.unwrap().unwrap();
        shared.revoke(live.session.unwrap()).await.unwrap();
        a.cluster.remove(&network).await.unwrap();
        let left = shared.list("/netd/v1/global/").await.unwrap().entries;
        let left: Vec<String> = left.into_iter().map(|entry| entry.key).collect();
        let hosts = |key: &String| key.contains("/members/") || key.contains("/live/");
        assert!(left.iter().all(|key| hosts(key) || key.ends_with("/turn")), "{left:?}");
        a.cluster.remove(&network).await.unwrap();

        // What is gone gets no claims and no endpoints.
        b.cluster.publish(&wanted(&network, "b", "web", "10.9.0.2/24")).await.unwrap();
        assert_eq!(shared.list(&keys.endpoints(id)).await.unwrap().entries, []);
        until(&b.cluster, "it is gone", |view| view.of(id).is_none()).await;
        let error = b.cluster.make_room(id, &BTreeSet::new(), &[]).await.unwrap_err();
        assert!(matches!(error, ClaimError::Gone), "{error}");
        make(&b.cluster, "n", "10.9.0.0/24").await.unwrap();
    });
}

#[test]
fn a_host_without_the_store_knows_what_it_knew_and_gives_out_no_address_that_it_may_have_lost() {
    on_store(async |shared, dir| {
        let a = host(&shared, dir, "a").await;
        let network = make(&a.cluster, "n", "10.9.0.0/24").await.unwrap();
        let id = &network.id;
        a.cluster.make_room(id, &BTreeSet::new(), &[]).await.unwrap();
        let local = store(&dir.join("snapshot.redb"));
        let (mut snapshot, ..) = snapshot::Snapshot::open(Arc::clone(&local)).await.unwrap();
        let listing = shared.list("/netd/v1/global/").await.unwrap();
        snapshot.keep(listing.clone(), Some(crate::lease::since_boot())).await.unwrap();

        // An empty store, of which nothing is asked.
        let away = store(&dir.join("away.redb"));
        let (life, now) = (Duration::from_secs(20), crate::lease::since_boot());
        let again = known(&away, &local, "a", life).await;
        assert_eq!(
            again.look(|view| view.of(id).cloned()),
            a.cluster.look(|view| view.of(id).cloned())
        );
        assert!(!again.make_room(id, &BTreeSet::new(), &[]).await.unwrap());

        snapshot.keep(listing, Some(now.saturating_sub(life / 2))).await.unwrap();
        let late = known(&away, &local, "a", life).await;
        let error = late.make_room(id, &BTreeSet::new(), &[]).await.unwrap_err().to_string();
        assert!(error.contains("has not confirmed lately"), "{error}");
    });
}

#[test]
fn networks_are_made_again_in_a_store_that_was_built_anew() {
    on_store(async |shared, dir| {
        let a = host(&shared, dir, "a").await;
        let network = make(&a.cluster, "n", "10.9.0.0/24").await.unwrap();
        let before = shared.list("/netd/v1/global/").await.unwrap();
        let local = store(&dir.join("snapshot.redb"));
        let (mut snapshot, ..) = snapshot::Snapshot::open(Arc::clone(&local)).await.unwrap();
        snapshot.keep(before, None).await.unwrap();
        drop(a);

        let anew = store(&dir.join("anew.redb"));
        let again = known(&anew, &local, "a", DAY).await;
        let listing = anew.list("/netd/v1/global/").await.unwrap();
        again.take(&crate::store::Followed::Listed(listing));
        assert_eq!(again.look(|view| view.networks().count()), 0, "the store says so");
        again.restore().await.unwrap();
        assert!(again.look(|view| view.of(&network.id).is_some()));
        assert_eq!(again.prepare().await.unwrap().networks, [network]);
    });
}

/// Another agent of machine `a`, of another run of the kernel, that others reach by an address.
async fn other_a(
    shared: &Arc<dyn Store>,
    dir: &Path,
    vtep: &str,
) -> (Cluster, watch::Sender<Member>, JoinSet<()>) {
    let text = |text: &str| text.to_owned();
    let host = Host { machine_id: text("a"), boot_id: text("another"), name: text("other") };
    let (store, keys) = (Arc::clone(shared), Keys::below("/netd/v1"));
    let local = hosts::store(&dir.join("other.redb"));
    let cluster = Cluster::open(Place {
        store,
        keys,
        local,
        host,
        time_to_live: DAY,
        key: Err(text("none")),
    })
    .await;
    let (cluster, vtep) = (cluster.unwrap(), Some(vtep.parse().unwrap()));
    let (tell, told) =
        watch::channel(Member { host: text("other"), vtep, version: text("1"), wireguard: None });
    let tasks = cluster.run(told);
    (cluster, tell, tasks)
}

#[test]
fn a_second_host_with_one_machine_id_is_refused_and_told() {
    on_store(async |shared, dir| {
        let a = host(&shared, dir, "a").await;
        let (twin, ..) = &other_a(&shared, dir, "192.0.2.2").await;
        let mut confirmed = twin.confirmed();
        let told =
            confirmed.wait_for(|confirmed| confirmed.trouble.is_some()).await.unwrap().clone();
        assert!(told.trouble.unwrap().contains("another host, a, has this one's machine id"));
        assert_eq!(told.session, None);
        drop(a);
    });
}

#[test]
fn a_host_that_is_booted_anew_takes_over_its_last_life_at_once_with_all_that_it_claimed() {
    on_store(async |shared, dir| {
        let a = host(&shared, dir, "a").await;
        let b = host(&shared, dir, "b").await;
        let network = make(&a.cluster, "n", "10.9.0.0/24").await.unwrap();
        a.cluster.make_room(&network.id, &BTreeSet::new(), &[]).await.unwrap();
        let endpoints = wanted(&network, "a", "c", "10.9.0.2/24");
        a.cluster.publish(&endpoints).await.unwrap();
        let session = a.cluster.confirmed().borrow().session;
        drop(a);

        let (again, ..) = &other_a(&shared, dir, "192.0.2.1").await;
        let mut confirmed = again.confirmed();
        let confirmed = confirmed.wait_for(|it| it.session.is_some()).await.unwrap().clone();
        assert_eq!((confirmed.session, confirmed.trouble), (session, None));
        until(&b.cluster, "the other life", |view| {
            let live = view.host("a").and_then(|host| host.live.as_ref());
            live.is_some_and(|live| live.value.boot_id == "another")
        })
        .await;
        until(again, "what it claimed", |view| {
            view.of(&network.id).is_some_and(|of| of.blocks.len() == 1 && of.endpoints.len() == 1)
        })
        .await;
        // Nothing of the last life runs.
        again.publish(&Wanted::new()).await.unwrap();
        until(&b.cluster, "the end of its containers", |view| view.endpoints().count() == 0).await;
    });
}
