use serde_json::json;

use crate::host::Host;

#[test]
fn list_shows_each_network_once_with_its_plugins() {
    let host = Host::new();
    host.conflist("zz", r#"{"cniVersion":"0.4.0","name":"net1","plugins":[{"type":"other"}]}"#);
    host.conflist(
        "net2",
        r#"{"cniVersion":"0.4.0","name":"net2","disableGC":true,"plugins":[{"type":"first"}]}"#,
    );
    assert_eq!(
        host.cni("list").ok(),
        "NETWORK  CNIVERSION  PLUGINS\n\
         net1     1.1.0       first second\n\
         net2     0.4.0       first\n"
    );
    let expected = json!([
        {"network": "net1", "cniVersion": "1.1.0", "plugins": ["first", "second"],
         "disableCheck": false, "disableGC": false},
        {"network": "net2", "cniVersion": "0.4.0", "plugins": ["first"],
         "disableCheck": false, "disableGC": true},
    ]);
    assert_eq!(host.cni("list --output json").json(), expected);
    assert!(host.called().is_empty());
}

#[test]
fn list_tells_of_files_it_cannot_read_and_shows_the_rest() {
    let host = Host::new();
    host.conflist("broken", "{");
    let ran = host.cni("list");
    assert_eq!(ran.code, 64);
    assert!(ran.stdout.contains("net1"), "{ran:?}");
    assert!(ran.stderr.contains("broken.conflist"), "{ran:?}");
}

#[test]
fn status_asks_every_plugin_of_every_network() {
    let host = Host::new();
    host.conflist("old", r#"{"cniVersion":"1.0.0","name":"old","plugins":[{"type":"first"}]}"#);
    assert_eq!(
        host.cni("status").ok(),
        "NETWORK  STATUS   REASON\n\
         net1     ready\n\
         old      unknown  cniVersion 1.0.0 has no STATUS\n"
    );
    assert_eq!(host.called(), ["first STATUS", "second STATUS"]);
}

#[test]
fn status_says_what_is_not_ready_and_why() {
    let host = Host::new();
    host.plugin("first", r#"echo '{"code":50,"msg":"range full"}'; exit 1"#);
    let ran = host.cni("status net1");
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.stdout,
        "NETWORK  STATUS       REASON\n\
         net1     unavailable  plugin type=\"first\" failed (status): range full\n"
    );
    assert_eq!(host.called(), ["first STATUS", "second STATUS"], "not only up to the first error");

    host.plugin("second", r#"echo '{"code":51,"msg":"no FORWARD","details":"policy"}'; exit 1"#);
    let ran = host.cni("status --output json");
    assert_eq!(ran.code, 1);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document[0]["status"], "limited");
    assert_eq!(document[0]["errors"][0]["code"], 50);
    assert_eq!(document[0]["errors"][1]["details"], "policy");
}

#[test]
fn version_is_what_the_plugins_say() {
    let host = Host::new();
    host.plugin("first", r#"echo '{"cniVersion":"1.1.0","supportedVersions":["0.4.0","1.1.0"]}'"#);
    host.plugin("second", "exit 1");
    let ran = host.cni("version net1");
    assert_eq!(ran.code, 1);
    assert_eq!(ran.stdout, "NETWORK  PLUGIN  VERSIONS\nnet1     first   0.4.0 1.1.0\n");
    assert!(ran.stderr.contains("VERSION of \"second\""), "{ran:?}");
}

#[test]
fn a_host_without_networks_says_so() {
    let host = Host::new();
    std::fs::remove_file(host.path("conf/net1.conflist")).unwrap();
    let ran = host.cni("status");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.starts_with("no networks in "), "{ran:?}");
}
