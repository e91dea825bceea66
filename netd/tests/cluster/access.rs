//! TLS, users and their rights.

use netd::lease::{ClusterEvent, Known, TIME_TO_LIVE};
use netd::store::{Fault, Txn};

use super::etcd::{Etcd, write};
use super::setup::{CONFIG, acquire, leases, soon, until, wanted};

#[tokio::test]
async fn with_certificates_a_client_of_tls_is_served() {
    let etcd = Etcd::start_with_tls(true);
    etcd.store().list("/").await.unwrap();
    let without =
        etcd.store_with(|options| (options.tls.certificate, options.tls.key) = (None, None));
    let error = without.list("/").await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(error.fault.to_string().contains("give --etcd-certfile"), "{error:?}");
    let plain = etcd.url().replace("https", "http");
    let error = etcd.store_with(|options| options.endpoints = plain).list("/").await.unwrap_err();
    assert!(error.fault.to_string().contains("write https://"), "{error:?}");
}

#[tokio::test]
async fn an_authority_alone_is_enough_for_tls() {
    let etcd = Etcd::start_with_tls(false);
    let only = |name: &str| {
        let path = etcd.path(name);
        etcd.store_with(|options| {
            options.tls = netd::store::etcd::Tls { authorities: Some(path), ..Default::default() };
        })
    };
    only("ca.crt").list("/").await.unwrap();
    let error = only("other.crt").list("/").await.unwrap_err();
    let text = error.fault.to_string();
    assert!(text.contains(&etcd.url()) && text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn files_that_are_no_certificates_are_refused_with_the_option() {
    let etcd = Etcd::start_with_tls(false);
    write(&etcd.path("junk"), "junk");
    let files = |authorities: &str, certificate: &str, key: &str| {
        let path = |name: &str| Some(etcd.path(name)).filter(|_| !name.is_empty());
        let options = netd::store::etcd::Options {
            endpoints: etcd.url(),
            tls: netd::store::etcd::Tls {
                authorities: path(authorities),
                certificate: path(certificate),
                key: path(key),
            },
            user: None,
        };
        let error = netd::store::etcd::Etcd::new(&options).unwrap_err();
        assert!(matches!(error.fault, Fault::Invalid(_)), "{error:?}");
        error.fault.to_string()
    };
    for (text, parts) in [
        (files("none", "", ""), ["--etcd-cafile", "cannot be read"]),
        (files("junk", "", ""), ["--etcd-cafile", "BEGIN CERTIFICATE"]),
        (files("ca.crt", "client.crt", ""), ["--etcd-certfile", "without --etcd-keyfile"]),
        (files("ca.crt", "", "client.key"), ["--etcd-keyfile", "without --etcd-certfile"]),
        (files("ca.crt", "client.key", "client.key"), ["--etcd-certfile", "BEGIN CERTIFICATE"]),
        (files("ca.crt", "client.crt", "client.crt"), ["--etcd-keyfile", "PRIVATE KEY"]),
    ] {
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}

/// An etcd with authentication, and in it the user `flannel` with the password `pw`, whose rights
/// end at flannel's prefix.
fn with_users() -> Etcd {
    let etcd = Etcd::start();
    etcd.ctl(&["put", CONFIG, r#"{"Network":"10.3.0.0/16"}"#]);
    for args in [
        vec!["user", "add", "root:pw"],
        vec!["user", "grant-role", "root", "root"],
        vec!["role", "add", "flannel"],
        vec![
            "role",
            "grant-permission",
            "flannel",
            "--prefix=true",
            "readwrite",
            "/coreos.com/network",
        ],
        vec!["user", "add", "flannel:pw"],
        vec!["user", "grant-role", "flannel", "flannel"],
        vec!["auth", "enable"],
    ] {
        // `role add root` is made by `auth enable` of newer versions only.
        if args == ["user", "grant-role", "root", "root"] {
            etcd.ctl(&["role", "add", "root"]);
        }
        etcd.ctl(&args);
    }
    etcd
}

fn user(name: &str, password: &str) -> Option<(String, String)> {
    Some((name.to_owned(), password.to_owned()))
}

#[tokio::test]
async fn a_user_without_rights_to_netds_prefix_leases_by_address() {
    let etcd = with_users();
    let flannel = etcd.store_with(|options| options.user = user("flannel", "pw"));
    let root = etcd.store_with(|options| options.user = user("root", "pw"));
    let host = leases(flannel.clone(), 1);
    let held = acquire(&host, &wanted(1)).await.unwrap();
    let keeper = host.keep(held.clone());
    assert_eq!(acquire(&host, &wanted(1)).await.unwrap().subnet, held.subnet);
    assert_eq!(host.overview().await.unwrap().leases.len(), 1);
    // It is kept as any other.
    let name = format!("/coreos.com/network/subnets/{}", held.subnet);
    root.txn(Txn::new().delete(&name)).await.unwrap();
    let mut status = keeper.status();
    let later = |status: &netd::lease::Status| *status != netd::lease::Status::Held(held.clone());
    soon("the key again", status.wait_for(later)).await.unwrap();
    assert!(root.list("/netd").await.unwrap().entries.is_empty());
    assert!(flannel.get("/netd/v1/hosts/").await.unwrap_err().is_permission_denied());

    let mut events = host.watch(held.subnet, Known::default(), TIME_TO_LIVE);
    soon("a listing", events.recv()).await.unwrap();
    let two = acquire(&leases(root, 2), &wanted(2)).await.unwrap();
    let event = soon("an event", events.recv()).await.unwrap();
    assert!(matches!(event, ClusterEvent::Put(peer) if peer.subnet == two.subnet));
}

#[tokio::test]
async fn a_user_with_rights_to_read_netds_prefix_alone_leases_by_address() {
    let etcd = with_users();
    let root = ["--user", "root:pw"];
    let grant = ["role", "grant-permission", "flannel", "--prefix=true", "read", "/netd/v1"];
    etcd.ctl(&[&root[..], &grant[..]].concat());
    let host = leases(etcd.store_with(|options| options.user = user("flannel", "pw")), 1);
    let held = acquire(&host, &wanted(1)).await.unwrap();
    assert_eq!(acquire(&host, &wanted(1)).await.unwrap().subnet, held.subnet);
    assert!(etcd.ctl(&["--user", "root:pw", "get", "--prefix", "/netd"]).is_empty());
}

#[tokio::test]
async fn a_wrong_password_or_none_is_said() {
    let etcd = with_users();
    for (given, part) in [
        (user("flannel", "wrong"), "does not know this user and password"),
        (user("nobody", "pw"), "does not know this user and password"),
        (None, "give --etcd-username"),
    ] {
        let store = etcd.store_with(|options| options.user = given);
        let error = store.get(CONFIG).await.unwrap_err();
        assert!(
            matches!(&error.fault, Fault::Unauthenticated(text) if text.contains(part)),
            "{error:?}"
        );
    }
    let error = etcd.store_with(|options| options.user = user("flannel", "pw")).get("/x").await;
    assert!(error.unwrap_err().is_permission_denied());
}

#[tokio::test]
async fn a_user_is_no_error_where_none_is_asked_for() {
    let etcd = Etcd::start();
    etcd.store_with(|options| options.user = user("flannel", "pw")).list("/").await.unwrap();
}

#[tokio::test]
async fn rights_to_netds_prefix_that_come_late_or_go_are_followed_without_a_restart() {
    let etcd = with_users();
    let root = etcd.store_with(|options| options.user = user("root", "pw"));
    let host = leases(etcd.store_with(|options| options.user = user("flannel", "pw")), 1);
    let held = acquire(&host, &wanted(1)).await.unwrap();
    let keeper = host.keep(held.clone());
    let own = async || root.list("/netd/v1/hosts/").await.unwrap().entries;
    let tried = etcd.calls("Range");
    until("an attempt without rights", async || etcd.calls("Range") > tried).await;
    assert!(own().await.is_empty());

    let permission = |verb: &str, rights: &[&str]| {
        let words = ["--user", "root:pw", "role", verb, "flannel", "--prefix=true"];
        etcd.ctl(&[&words[..], rights, &["/netd/v1"]].concat());
    };
    permission("grant-permission", &["readwrite"]);
    until("record and sign of life", async || own().await.len() == 2).await;
    let entries = own().await;
    let record = entries.iter().find(|entry| entry.key.contains("/lease/")).unwrap();
    assert_eq!(record.session, held.session, "it ends with the lease");
    let overview = leases(root.clone(), 2).overview().await.unwrap();
    let owner = overview.leases[0].1.as_ref().unwrap();
    assert_eq!((owner.host.as_str(), owner.alive), ("host-1", true));

    // Without rights again, what is published is published all the same.
    permission("revoke-permission", &[]);
    let mut value = held.value.clone();
    value.backend_type = "vxlan".to_owned();
    keeper.publish(value.clone());
    let key = format!("/coreos.com/network/subnets/{}", held.subnet);
    until("the value", async || {
        root.get(&key).await.unwrap().is_some_and(|entry| entry.value == value.encode())
    })
    .await;
}
