//! Hosts with agents, on one store.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::global::{Cluster, EndpointRecord, Keys, Member, Place, View, Wanted};
use crate::lease::Host;
use crate::network::{
    CreateRequest, Created, Id, Moment, Network, NetworkError, Pools, Site, SubnetRequest, create,
};
use crate::store::{Store, local::Local};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
const PATIENCE: Duration = Duration::from_secs(20);

/// A host with its agent's tasks.
pub(super) struct On {
    pub(super) cluster: Cluster,
    _tasks: JoinSet<()>,
    _tell: watch::Sender<Member>,
}

pub(super) fn store(path: &Path) -> Arc<dyn Store> {
    Arc::new(Local::open(path).unwrap())
}

pub(super) async fn known(
    shared: &Arc<dyn Store>,
    local: &Arc<dyn Store>,
    name: &str,
    time_to_live: Duration,
) -> Cluster {
    let text = |text: &str| text.to_owned();
    let host =
        Host { machine_id: text(name), boot_id: format!("boot of {name}"), name: text(name) };
    let (store, local) = (Arc::clone(shared), Arc::clone(local));
    let keys = Keys::below("/netd/v1");
    Cluster::open(Place { store, keys, local, host, time_to_live, key: Err(text("none")) })
        .await
        .unwrap()
}

pub(super) async fn host(shared: &Arc<dyn Store>, dir: &Path, name: &str) -> On {
    let local = store(&dir.join(format!("{name}.redb")));
    let cluster = known(shared, &local, name, DAY).await;
    let vtep = Some("192.0.2.1".parse().unwrap());
    let member = Member { host: name.to_owned(), vtep, version: "1".to_owned(), wireguard: None };
    let (tell, told) = watch::channel(member);
    let mut tasks = cluster.run(told);
    tasks.spawn(answer(cluster.clone()));
    let mut confirmed = cluster.confirmed();
    confirmed.wait_for(|confirmed| confirmed.session.is_some()).await.unwrap();
    On { cluster, _tasks: tasks, _tell: tell }
}

/// Leaves out what others claim of a host's blocks: no container here has an address.
async fn answer(cluster: Cluster) {
    let mut news = cluster.news();
    while news.changed().await.is_ok() {
        let ids: Vec<Id> =
            cluster.look(|view| view.networks().map(|it| it.value.id.clone()).collect());
        for id in ids {
            // A network that is gone has no blocks.
            let _ = cluster.leave_out(&id, &BTreeSet::new()).await;
        }
    }
}

/// Hosts `a` and `b`, which both know a network `n` that `a` has made.
pub(super) async fn pair(shared: &Arc<dyn Store>, dir: &Path, subnet: &str) -> (On, On, Network) {
    let (a, b) = (host(shared, dir, "a").await, host(shared, dir, "b").await);
    let network = make(&a.cluster, "n", subnet).await.unwrap();
    until(&b.cluster, "the network", |view| view.of(&network.id).is_some()).await;
    (a, b, network)
}

/// Waits until a host knows something.
pub(super) async fn until(cluster: &Cluster, what: &str, holds: impl Fn(&View) -> bool) {
    let mut news = cluster.news();
    let waiting = async {
        while !cluster.look(&holds) {
            news.changed().await.unwrap();
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain: {what}");
}

pub(super) fn decide(
    name: &str,
    subnet: &str,
    networks: &[Network],
) -> Result<Network, NetworkError> {
    let mut request =
        CreateRequest { name: name.to_owned(), driver: "overlay".to_owned(), ..Default::default() };
    if !subnet.is_empty() {
        request.ipam.config.push(SubnetRequest { subnet: subnet.to_owned(), ..Default::default() });
    }
    let networks: Vec<&Network> = networks.iter().collect();
    let site = Site {
        networks: &networks,
        routes: &[],
        clusters: &[],
        avoid: &[],
        pools: &Pools::new(None),
        links: &[],
        tunnels: &[],
        lacking: &[],
    };
    create(request, Id::random(), Moment::now(), &site).map(|Created { network, .. }| network)
}

pub(super) async fn make(
    cluster: &Cluster,
    name: &str,
    subnet: &str,
) -> Result<Network, NetworkError> {
    loop {
        let prepared = cluster.prepare().await.unwrap();
        let network = decide(name, subnet, &prepared.networks)?;
        if cluster.make(&prepared, &network).await.unwrap() {
            return Ok(network);
        }
    }
}

pub(in crate::global) fn endpoint(machine: &str, container: &str, address: &str) -> EndpointRecord {
    EndpointRecord {
        machine: machine.to_owned(),
        container: container.to_owned(),
        interface: "eth0".to_owned(),
        names: vec![container.to_owned()],
        addresses: vec![address.parse().unwrap()],
        mac: "02:42:0a:00:00:02".parse().unwrap(),
    }
}

pub(super) fn wanted(network: &Network, machine: &str, container: &str, address: &str) -> Wanted {
    let key = (network.id.clone(), container.to_owned());
    [(key, endpoint(machine, container, address))].into()
}

pub(super) fn on_store(test: impl AsyncFnOnce(Arc<dyn Store>, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(store(&dir.path().join("shared.redb")), dir.path()));
}
