//! GC, STATUS, VERSION and the lock.

use super::*;
use crate::conf::Attachment;

fn attachment(id: &str) -> Attachment {
    Attachment { container_id: id.into(), ifname: "eth0".into() }
}

#[test]
fn gc_deletes_what_is_not_valid_and_then_asks_every_plugin() {
    let plugins = both();
    let runtime = runtime(&plugins);
    for id in ["c1", "c2"] {
        runtime.add(&list("1.1.0"), &container(id)).unwrap();
    }
    let other = NetworkList { name: "net2".into(), ..list("1.1.0") };
    runtime.add(&other, &container("c1")).unwrap();
    std::fs::write(plugins.path().join("cache/.net1-c9-eth0.part"), "x").unwrap();
    plugins.calls();
    runtime.gc(&list("1.1.0"), &[attachment("c2")]).unwrap();
    let calls = plugins.calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["second DEL", "first DEL", "first GC", "second GC"]);
    assert_eq!(calls[0].env("CNI_CONTAINERID"), Some("c1"));
    assert_eq!(calls[0].env("CNI_NETNS"), Some("/run/netns/a"));
    let valid = r#"[{"containerID":"c2","ifname":"eth0"}]"#;
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        assert_eq!(stdin(&calls[2]).field(key).unwrap().to_string(), valid);
    }
    let left: Vec<_> = runtime.attachments().unwrap().iter().map(CachedAttachment::key).collect();
    let left: Vec<_> = left.iter().map(AttachmentKey::file_name).collect();
    assert_eq!(left, ["net1-c2-eth0", "net2-c1-eth0"]);
    assert!(!plugins.path().join("cache/.net1-c9-eth0.part").exists());
}

#[test]
fn gc_uses_the_configuration_of_the_add_and_no_process_id() {
    let plugins = both();
    plugins.script("third", "");
    let runtime = runtime(&plugins);
    let proc = Container { netns: Some("/proc/77/ns/net".into()), ..container("c1") };
    runtime.add(&list("1.1.0"), &proc).unwrap();
    plugins.calls();
    let now = r#"{"cniVersion":"1.1.0","name":"net1","plugins":[{"type":"third"}]}"#;
    runtime.gc(&NetworkList::parse(now.into()).unwrap(), &[]).unwrap();
    let calls = plugins.calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["second DEL", "first DEL", "third GC"]);
    assert_eq!(calls[0].env("CNI_NETNS"), Some(""));
    assert_eq!(calls[0].env("CNI_ARGS"), Some("IgnoreUnknown=1;A=b"));
}

#[test]
fn gc_tries_everything_and_is_skipped_where_it_is_disabled_or_unknown() {
    let plugins = both();
    let runtime = runtime(&plugins);
    runtime.add(&list("1.0.0"), &container("c1")).unwrap();
    plugins.calls();
    runtime.gc(&NetworkList { disable_gc: true, ..list("1.1.0") }, &[]).unwrap();
    assert!(plugins.calls().is_empty());
    plugins.script("second", "exit 1");
    let error = runtime.gc(&list("1.1.0"), &[]).unwrap_err();
    assert!(error.msg.starts_with("delete stale attachment c1 eth0: plugin type=\"second\""));
    assert_eq!(plugins.names(), ["second DEL", "first DEL", "first GC", "second GC"]);
    plugins.script("second", "");
    runtime.gc(&list("1.0.0"), &[]).unwrap();
    assert_eq!(plugins.names(), ["second DEL", "first DEL"]);
}

#[test]
fn gc_leaves_those_that_live_on_netds_networks_to_its_plugin() {
    let plugins = both();
    plugins.script("netd", FIRST);
    let runtime = runtime(&plugins);
    let netds = |version: &str, rest: &str| {
        let text = format!(
            r#"{{"cniVersion":"{version}","name":"net1","plugins":[{{"type":"netd"}}{rest}]}}"#
        );
        NetworkList::parse(text.into_bytes()).unwrap()
    };
    let gone = plugins.path().join("gone");
    std::fs::write(&gone, "").unwrap();
    let cases = [
        (netds("1.1.0", ""), "/proc/self/ns/net".into(), &["netd GC"][..]),
        (netds("1.1.0", ""), gone, &["netd DEL", "netd GC"]),
        // Nobody would look after them.
        (netds("1.0.0", ""), "/proc/self/ns/net".into(), &["netd DEL"]),
        (
            netds("1.1.0", r#",{"type":"second"}"#),
            "/proc/self/ns/net".into(),
            &["second DEL", "netd DEL", "netd GC", "second GC"],
        ),
    ];
    for (list, netns, called) in cases {
        let container = Container { netns: Some(netns), ..container("c1") };
        runtime.add(&list, &container).unwrap();
        plugins.calls();
        runtime.gc(&list, &[]).unwrap();
        assert_eq!(plugins.names(), called);
        runtime.del(&list, &container).unwrap();
        plugins.calls();
    }
}

#[test]
fn gc_does_not_run_beside_others_on_the_network() {
    let plugins = both();
    let runtime = Runtime { lock_wait: Duration::ZERO, ..runtime(&plugins) };
    // Another test's fork holds a lock until its exec.
    let patient = Runtime { lock_wait: Duration::from_secs(20), ..runtime.clone() };
    let busy = |result: Result<(), Error>| result.unwrap_err().code == Code::TryAgainLater;
    let adding = patient.lock_shared("net1").unwrap();
    assert!(busy(runtime.gc(&list("1.1.0"), &[])));
    patient.add(&list("1.1.0"), &container("c1")).unwrap();
    drop(adding);
    let collecting = patient.lock_exclusive("net1").unwrap();
    assert!(busy(runtime.add(&list("1.1.0"), &container("c2")).map(drop)));
    assert!(busy(runtime.del(&list("1.1.0"), &container("c1"))));
    assert!(busy(runtime.check(&list("1.1.0"), &container("c1"))));
    patient.lock_shared("net2").unwrap();
    drop(collecting);
    patient.gc(&list("1.1.0"), &[]).unwrap();
}

#[test]
fn status_asks_every_plugin_since_1_1_0() {
    let plugins = both();
    let runtime = runtime(&plugins);
    runtime.status(&list("1.0.0")).unwrap();
    assert!(plugins.calls().is_empty());
    runtime.status(&list("1.1.0")).unwrap();
    assert_eq!(plugins.names(), ["first STATUS", "second STATUS"]);
    plugins.script("first", r#"echo '{"code":50,"msg":"full"}'; exit 1"#);
    let error = runtime.status(&list("1.1.0")).unwrap_err();
    assert_eq!(
        error,
        Error::new(Code::NotAvailable, "plugin type=\"first\" failed (status): full")
    );
}

#[test]
fn version_is_what_each_plugin_says() {
    let plugins = both();
    for (name, versions) in [("first", r#""0.4.0","1.0.0""#), ("second", r#""1.1.0""#)] {
        plugins.script(name, &format!("echo '{{\"supportedVersions\":[{versions}]}}'"));
    }
    let versions = runtime(&plugins).version(&list("1.0.0")).unwrap();
    assert_eq!(versions["first"], ["0.4.0", "1.0.0"]);
    assert_eq!(versions["second"], ["1.1.0"]);
    assert_eq!(plugins.names(), ["first VERSION", "second VERSION"]);
}
