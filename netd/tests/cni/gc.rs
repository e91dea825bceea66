use serde_json::json;

use crate::host::Host;

fn with_three() -> Host {
    let host = Host::new();
    for id in ["c1", "c2", "c3"] {
        host.cni(&format!("add net1 /run/netns/{id} --container-id {id}")).ok();
    }
    host.calls();
    host
}

#[test]
fn gc_without_a_word_on_what_is_valid_is_refused() {
    let host = with_three();
    for line in ["gc net1", "gc"] {
        let stderr = host.cni(line).fails(2);
        for word in ["--valid CONTAINER/IFNAME", "--none-valid", "--stale"] {
            assert!(stderr.contains(word), "{stderr}");
        }
    }
    assert!(host.called().is_empty());
    assert_eq!(host.cached().len(), 3);
}

#[test]
fn what_is_not_listed_as_valid_is_deleted_and_the_plugins_get_the_list() {
    let host = with_three();
    assert_eq!(host.cni("gc net1 --valid c1/eth0 --valid c9/net5").ok(), "");
    let calls = host.calls();
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    let deleted = ["second DEL", "first DEL", "second DEL", "first DEL"];
    assert_eq!(names[..4], deleted);
    assert_eq!(names[4..], ["first GC", "second GC"]);
    let valid = json!([{"containerID": "c1", "ifname": "eth0"},
        {"containerID": "c9", "ifname": "net5"}]);
    assert_eq!(calls[4].conf["cni.dev/valid-attachments"], valid);
    assert_eq!(host.cached(), ["net1-c1-eth0"]);
}

#[test]
fn none_valid_removes_all_of_the_network_and_nothing_of_others() {
    let host = with_three();
    host.network("net2", &["first"]);
    host.cni("add net2 a --container-id c4").ok();
    host.cni("gc net1 --none-valid").ok();
    assert_eq!(host.calls().last().unwrap().conf["cni.dev/valid-attachments"], json!([]));
    assert_eq!(host.cached(), ["net2-c4-eth0"]);
}

#[test]
fn a_failing_gc_tells_every_error_and_does_the_rest() {
    let host = with_three();
    let fails = r#"[ $CNI_COMMAND = GC ] && { echo '{"code":5,"msg":"disk"}'; exit 1; }; exit 0"#;
    host.plugin("first", fails);
    let stderr = host.cni("gc net1 --none-valid").fails(1);
    assert!(stderr.contains("plugin type=\"first\" failed (gc): disk"), "{stderr}");
    assert_eq!(host.calls().last().unwrap().name, "second GC");
    assert!(host.cached().is_empty());
}

#[test]
fn disable_gc_is_heeded() {
    let host = with_three();
    host.conflist(
        "net1",
        r#"{"cniVersion":"1.1.0","name":"net1","disableGC":true,"plugins":[{"type":"first"}]}"#,
    );
    let ran = host.cni("gc net1 --none-valid");
    assert_eq!(ran.stderr, "network \"net1\" has disableGC: nothing was done\n");
    ran.ok();
    assert!(host.called().is_empty());
}
