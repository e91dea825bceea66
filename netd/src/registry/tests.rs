use std::path::Path;
use std::time::Duration;

use kernel::testing::{in_new_host, sh};

use super::*;
use crate::network::ListFilter;

const RESYNC: Duration = Duration::from_secs(3600);

/// Runs a test in a host of its own, with a state directory.
fn on_host(test: impl AsyncFnOnce(&Path) + Send) {
    in_new_host(|| {
        sh("ip link set lo up");
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(dir.path()));
    });
}

fn named(name: &str) -> CreateRequest {
    CreateRequest { name: name.to_owned(), ..CreateRequest::default() }
}

#[test]
fn all_bridges_are_made_at_the_start_and_what_is_right_is_left_as_it_is() {
    on_host(async |dir| {
        let registry =
            Registry::open(dir, dir, dir, vec![], Claims::default(), RESYNC, None).await.unwrap();
        for number in 0..20 {
            registry.create(named(&format!("n{number}"))).await.unwrap();
        }
        let shown = || sh("ip -o addr show | grep br- | sort");
        let made = shown();
        assert_eq!(made.lines().count(), 20, "{made}");
        drop(registry);
        sh("for link in $(ls /sys/class/net | grep br- | head -15); do ip link del $link; done");
        let registry =
            Registry::open(dir, dir, dir, vec![], Claims::default(), RESYNC, None).await.unwrap();
        let without_index = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
        };
        let (mut before, mut after) = (without_index(&made), without_index(&shown()));
        before.sort();
        after.sort();
        assert_eq!(before, after);
        assert_eq!(registry.health().now().trouble, None);
        assert_eq!(registry.list(&ListFilter::default(), |_| ()).len(), 23);
    });
}

#[test]
fn a_network_whose_bridge_is_another_kind_of_link_is_not_made() {
    on_host(async |dir| {
        let registry =
            Registry::open(dir, dir, dir, vec![], Claims::default(), RESYNC, None).await.unwrap();
        let mut request = named("web");
        request.options.insert("com.docker.network.bridge.name".into(), "mine".into());
        registry.create(request.clone()).await.unwrap();
        registry.remove("web").await.unwrap();
        sh("ip link add mine type veth peer name far");
        let told = registry.create(request).await.unwrap_err();
        assert_eq!(told, NetworkError::NotABridge("mine".into()));
        assert_eq!(registry.list(&ListFilter::default(), |_| ()).len(), 3);
        assert!(registry.inspect("web").is_err());
    });
}

#[test]
fn a_bridge_that_cannot_be_made_at_the_start_holds_no_other_up_and_is_told() {
    on_host(async |dir| {
        let registry =
            Registry::open(dir, dir, dir, vec![], Claims::default(), RESYNC, None).await.unwrap();
        let mut request = named("a");
        request.options.insert("com.docker.network.bridge.name".into(), "mine".into());
        registry.create(request).await.unwrap();
        let (id, _) = registry.create(named("b")).await.unwrap();
        drop(registry);
        sh("ip link del mine; ip link add mine type veth peer name far");
        let bridge = id.bridge().unwrap();
        sh(&format!("ip link del {bridge}"));
        let registry =
            Registry::open(dir, dir, dir, vec![], Claims::default(), RESYNC, None).await.unwrap();
        sh(&format!("ip link show {bridge}"));
        let mut health = registry.health();
        let told = health.now().trouble.unwrap();
        assert!(told.contains("existing interface mine is not a bridge"), "{told}");
        sh("ip link del mine");
        tokio::time::timeout(Duration::from_secs(20), health.changed()).await.unwrap();
        assert_eq!(health.now().trouble, None);
        assert!(sh("ip -d link show mine").contains("bridge"));
    });
}

#[test]
fn a_bridge_may_have_an_mtu_that_leaves_no_room_for_ipv6_or_get_one_from_a_port() {
    on_host(async |dir| {
        let registry =
            Registry::open(dir, dir, dir, vec![], Claims::default(), RESYNC, None).await.unwrap();
        let mut small = named("small");
        small.options.insert("com.docker.network.driver.mtu".into(), "1000".into());
        let (id, _) = registry.create(small).await.unwrap();
        let small = id.bridge().unwrap();
        assert!(sh(&format!("ip link show {small}")).contains("mtu 1000"));
        let (id, _) = registry.create(named("follows")).await.unwrap();
        let follows = id.bridge().unwrap();
        sh(&format!(
            "ip link add port mtu 1000 type veth peer name far; ip link set port master {follows}"
        ));
        assert!(sh(&format!("ip link show {follows}")).contains("mtu 1000"));
        drop(registry);
        let registry =
            Registry::open(dir, dir, dir, vec![], Claims::default(), RESYNC, None).await.unwrap();
        assert_eq!(registry.health().now().trouble, None);
    });
}
