//! A cluster: an etcd with a network configuration, and hosts.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use netd::lease::{
    AcquireError, Held, Host, Keyspace, LeaseValue, Leases, SubnetKey, TIME_TO_LIVE, Wanted,
};
use netd::store::Store;

use super::etcd::Etcd;

/// How long anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const SUBNETS: &str = "/coreos.com/network/subnets/";
pub(crate) const CONFIG: &str = "/coreos.com/network/config";

pub(crate) struct Cluster {
    pub(crate) etcd: Etcd,
    store: Arc<dyn Store>,
}

impl Cluster {
    pub(crate) fn new(config: &str) -> Self {
        let etcd = Etcd::start();
        etcd.ctl(&["put", CONFIG, config]);
        let store = etcd.store();
        Self { etcd, store }
    }

    /// The access of the host of this number, with a connection of its own.
    pub(crate) fn host(&self, number: u16) -> Leases {
        leases(self.etcd.store(), number)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Acquires a lease for the host of this number, at its usual address.
    pub(crate) async fn acquire(&self, number: u16) -> Result<Held, AcquireError> {
        acquire(&self.host(number), &wanted(number)).await
    }

    /// Keys below flannel's prefix of leases, without it.
    pub(crate) async fn subnets(&self) -> Vec<String> {
        let listing = soon("a listing, after a restart too", async {
            loop {
                if let Ok(listing) = self.store.list(SUBNETS).await {
                    break listing;
                }
            }
        })
        .await;
        let name = |key: &str| key.strip_prefix(SUBNETS).unwrap().to_owned();
        listing.entries.iter().map(|entry| name(&entry.key)).collect()
    }

    /// Leases of etcd's, as hexadecimal numbers, without those of signs of life.
    pub(crate) fn etcd_leases(&self) -> Vec<String> {
        let is_of_sign = |id: &&str| {
            self.etcd.ctl(&["lease", "timetolive", id]).contains("granted with TTL(30s)")
        };
        let text = self.etcd.ctl(&["lease", "list"]);
        text.lines().skip(1).filter(|id| !is_of_sign(id)).map(str::to_owned).collect()
    }
}

pub(crate) fn leases(store: Arc<dyn Store>, number: u16) -> Leases {
    leases_of_boot(store, number, &format!("boot of {number}"))
}

pub(crate) fn leases_of_boot(store: Arc<dyn Store>, number: u16, boot_id: &str) -> Leases {
    let keys = Keyspace::new("/coreos.com/network", "/netd/v1").unwrap();
    let host = Host {
        machine_id: format!("{number:032x}"),
        boot_id: boot_id.to_owned(),
        name: format!("host-{number}"),
    };
    Leases::new(store, keys, host)
}

pub(crate) fn wanted(number: u16) -> Wanted {
    let [high, low] = number.to_be_bytes();
    let value = LeaseValue::new(Ipv4Addr::from([192, 168, high, low]));
    Wanted {
        is_used: false,
        value,
        previous: None,
        missing: Default::default(),
        time_to_live: TIME_TO_LIVE,
        is_kept: true,
    }
}

pub(crate) async fn acquire(leases: &Leases, wanted: &Wanted) -> Result<Held, AcquireError> {
    let config = leases.config().await.unwrap();
    leases.acquire(&config, wanted).await
}

pub(crate) fn key(text: &str) -> SubnetKey {
    text.parse().unwrap()
}

/// What comes, within the time anything may take.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(came) => came,
        Err(_) => panic!("{what}: nothing in {SOON:?}"),
    }
}

/// Asks again until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
