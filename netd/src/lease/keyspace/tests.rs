use super::*;

#[test]
fn keys_are_where_flannel_has_them() {
    let keys = Keyspace::new("/coreos.com//network/", "/netd/v1").unwrap();
    assert_eq!(keys.config(), "/coreos.com/network/config");
    let subnet = "10.5.52.0-24&fd00:12:13::-56".parse().unwrap();
    assert_eq!(keys.subnet(&subnet), "/coreos.com/network/subnets/10.5.52.0-24&fd00:12:13::-56");
    assert_eq!(Keyspace::new("network", "/netd/v1").unwrap().config(), "network/config");
}

#[test]
fn what_is_netds_own_is_below_its_own_prefix_apart_for_each_cluster() {
    let keys = Keyspace::new("/coreos.com/network", "/netd/v1").unwrap();
    let record = keys.record("ab12");
    assert_eq!(record, "/netd/v1/hosts/ab12/lease/coreos.com/network");
    assert_eq!(keys.host_of(&record), Some(("ab12", "lease")));
    assert_eq!(keys.host_of(&keys.live("ab12")), Some(("ab12", "live")));
    let other = Keyspace::new("/other", "/netd/v1").unwrap();
    assert_eq!(other.host_of(&record), None);
    assert_eq!(keys.host_of("/netd/v1/hosts/"), None);
}

#[test]
fn prefixes_that_overlap_or_are_empty_are_refused() {
    for (flannel, own) in
        [("/a/b", "/a/b"), ("/a/b/", "/a//b/c"), ("/a/b/subnets", "/a/b"), ("/a", "/a/subnets")]
    {
        let error = Keyspace::new(flannel, own).unwrap_err().to_string();
        assert!(error.contains("give two that are apart"), "{error}");
    }
    assert!(Keyspace::new("/a/b", "/a/bc").is_ok());
    for empty in ["", "/", "//"] {
        let error = Keyspace::new(empty, "/netd/v1").unwrap_err().to_string();
        assert!(error.contains("--etcd-prefix"), "{error}");
        let error = Keyspace::new("/coreos.com/network", empty).unwrap_err().to_string();
        assert!(error.contains("--etcd-own-prefix"), "{error}");
    }
}
