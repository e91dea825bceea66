use super::*;
use crate::json::{self, Value};
use crate::shell::{Logged, Plugins};
use crate::{Code, Version};

mod lists;
mod sweep;

/// A first plugin: makes an interface and an address.
const FIRST: &str = r#"[ $CNI_COMMAND = ADD ] || exit 0
echo '{"interfaces":[{"name":"eth0","sandbox":"/run/netns/a","x":1}],"ips":[{"address":"10.0.0.5/24","interface":0}],"dns":{}}'"#;

/// A chained plugin: passes on what it was given.
const CHAINED: &str = r#"[ $CNI_COMMAND = ADD ] || exit 0
sed 's/.*"prevResult":\(.*\)}$/\1/; s/,"runtimeConfig".*//' $call/stdin"#;

const FAILS: &str = r#"[ $CNI_COMMAND = ADD ] || exit 0
echo '{"code":11,"msg":"busy"}'; exit 1"#;

fn runtime(plugins: &Plugins) -> Runtime {
    Runtime {
        conf_dirs: vec![plugins.path().join("conf")],
        plugin_dirs: vec!["/no/such/dir".into(), plugins.bin()],
        cache_dir: plugins.path().join("cache"),
        lock_wait: Duration::from_secs(20),
    }
}

fn list(version: &str) -> NetworkList {
    let text = format!(
        r#"{{"cniVersion":"{version}","name":"net1","plugins":[
        {{"type":"first","capabilities":{{"mac":true,"ips":false}}}},{{"type":"second","key":1}}]}}"#
    );
    NetworkList::parse(text.into_bytes()).unwrap()
}

fn container(id: &str) -> Container {
    let capability_args = json::parse(br#"{"ips":["x"],"mac":"02::","z":1}"#).unwrap();
    Container {
        id: id.into(),
        netns: Some("/run/netns/a".into()),
        ifname: "eth0".into(),
        args: vec![("IgnoreUnknown".into(), "1".into()), ("A".into(), "b".into())],
        capability_args: capability_args.as_object().unwrap().clone(),
    }
}

fn both() -> Plugins {
    let plugins = Plugins::new();
    plugins.script("first", FIRST);
    plugins.script("second", CHAINED);
    plugins
}

fn stdin(call: &Logged) -> Value {
    json::parse(call.stdin.as_bytes()).unwrap()
}

fn cache_file(plugins: &Plugins, id: &str) -> PathBuf {
    plugins.path().join(format!("cache/results/net1-{id}-eth0"))
}

#[test]
fn add_runs_the_chain_and_hands_each_result_on() {
    let plugins = both();
    let result = runtime(&plugins).add(&list("1.0.0"), &container("c1")).unwrap();
    assert_eq!(result.ips[0].interface, Some(0));
    assert!(result.interfaces[0].extra.contains_key("x"));
    let calls = plugins.calls();
    assert_eq!(
        calls.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["first ADD", "second ADD"]
    );
    let given = stdin(&calls[0]);
    assert_eq!(
        given.to_string(),
        r#"{"type":"first","capabilities":{"mac":true,"ips":false},"name":"net1","cniVersion":"1.0.0","runtimeConfig":{"mac":"02::"}}"#
    );
    let given = stdin(&calls[1]);
    let prev = given.field("prevResult").unwrap();
    assert_eq!(prev.field("cniVersion").and_then(Value::as_str), Some("1.0.0"));
    assert!(given.field("runtimeConfig").is_none());
    for (name, value) in [
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/run/netns/a"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", "IgnoreUnknown=1;A=b"),
    ] {
        assert_eq!(calls[1].env(name), Some(value));
    }
    let path = format!("/no/such/dir:{}", plugins.bin().display());
    assert_eq!(calls[1].env("CNI_PATH"), Some(path.as_str()));
}

#[test]
fn the_cache_is_libcnis_to_the_byte() {
    let plugins = both();
    let mut list = list("0.4.0");
    list.bytes = b"{}".to_vec();
    runtime(&plugins).add(&list, &container("c1")).unwrap();
    let file = cache_file(&plugins, "c1");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        r#"{"kind":"cniCacheV1","containerId":"c1","config":"e30=","ifName":"eth0","networkName":"net1","netns":"/run/netns/a","cniArgs":[["IgnoreUnknown","1"],["A","b"]],"capabilityArgs":{"ips":["x"],"mac":"02::","z":1},"result":{"cniVersion":"0.4.0","dns":{},"interfaces":[{"name":"eth0","sandbox":"/run/netns/a","x":1}],"ips":[{"address":"10.0.0.5/24","interface":0,"version":"4"}]}}"#
    );
    use std::os::unix::fs::PermissionsExt;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn an_attachment_is_read_back_from_the_cache() {
    let plugins = both();
    let runtime = runtime(&plugins);
    assert_eq!(runtime.attachments(), Ok(vec![]));
    runtime.add(&list("1.0.0"), &container("c1")).unwrap();
    std::fs::write(cache_file(&plugins, "c2"), "garbage").unwrap();
    let found = runtime.attachments().unwrap();
    assert_eq!((found.len(), &found[0].container), (1, &container("c1")));
    assert_eq!(found[0].config, list("1.0.0").bytes);
    assert_eq!(runtime.attachment(&found[0].key()).as_ref(), Some(&found[0]));
}

#[test]
fn del_runs_in_reverse_with_the_kept_result_and_forgets() {
    for (version, has_result) in [("0.3.1", false), ("0.4.0", true), ("1.0.0", true)] {
        let plugins = both();
        let runtime = runtime(&plugins);
        runtime.add(&list(version), &container("c1")).unwrap();
        plugins.calls();
        let gone = Container { netns: None, ..container("c1") };
        runtime.del(&list(version), &gone).unwrap();
        let calls = plugins.calls();
        assert_eq!((calls[0].name.as_str(), calls[1].name.as_str()), ("second DEL", "first DEL"));
        assert_eq!(stdin(&calls[0]).field("prevResult").is_some(), has_result, "{version}");
        assert_eq!(calls[1].env("CNI_NETNS"), Some(""));
        assert!(!cache_file(&plugins, "c1").exists());
        runtime.del(&list(version), &gone).unwrap();
        assert_eq!(plugins.names(), ["second DEL", "first DEL"]);
    }
}

#[test]
fn del_goes_on_after_a_failure_and_keeps_the_cache_for_another_try() {
    let plugins = both();
    let runtime = runtime(&plugins);
    runtime.add(&list("1.0.0"), &container("c1")).unwrap();
    plugins.calls();
    plugins.script("second", r#"echo '{"code":11,"msg":"busy"}'; exit 1"#);
    plugins.script("first", "exit 1");
    let error = runtime.del(&list("1.0.0"), &container("c1")).unwrap_err();
    assert_eq!(error.code, Code::TryAgainLater);
    assert!(
        error
            .msg
            .starts_with("plugin type=\"second\" failed (delete): busy; plugin type=\"first\"")
    );
    assert_eq!(plugins.names(), ["second DEL", "first DEL"]);
    assert!(cache_file(&plugins, "c1").exists());
}

#[test]
fn del_uses_the_args_of_add_unless_it_is_given_some() {
    let plugins = both();
    let runtime = runtime(&plugins);
    let bare = Container { args: vec![], capability_args: Object::new(), ..container("c1") };
    for (container, args) in [
        (&bare, "IgnoreUnknown=1;A=b"),
        (&Container { args: vec![("B".into(), "c".into())], ..bare.clone() }, "B=c"),
    ] {
        runtime.add(&list("1.0.0"), &self::container("c1")).unwrap();
        plugins.calls();
        runtime.del(&list("1.0.0"), container).unwrap();
        let calls = plugins.calls();
        assert_eq!(calls[1].env("CNI_ARGS"), Some(args));
        assert!(stdin(&calls[1]).field("runtimeConfig").is_some());
    }
}

#[test]
fn del_tolerates_a_corrupt_cache_and_reads_a_plain_result() {
    let plugins = both();
    let runtime = runtime(&plugins);
    let file = cache_file(&plugins, "c1");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (text, has_result) in [
        ("garbage", false),
        ("", false),
        (r#"{"kind":"cniCacheV1","config":"not base64","result":{"ips":7}}"#, false),
        (r#"{"kind":"other"}"#, true),
        (r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.5/24"}]}"#, true),
    ] {
        std::fs::write(&file, text).unwrap();
        runtime.del(&list("1.0.0"), &container("c1")).unwrap();
        assert_eq!(stdin(&plugins.calls()[0]).field("prevResult").is_some(), has_result, "{text}");
        assert!(!file.exists());
    }
}

#[test]
fn a_failing_add_is_rolled_back_in_reverse() {
    let plugins = both();
    plugins.script("second", FAILS);
    let runtime = runtime(&plugins);
    let error = runtime.add(&list("1.0.0"), &container("c1")).unwrap_err();
    assert_eq!(error, Error::try_again("plugin type=\"second\" failed (add): busy"));
    let calls = plugins.calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["first ADD", "second ADD", "second DEL", "first DEL"]);
    assert!(stdin(&calls[3]).field("prevResult").is_some());
    assert!(!cache_file(&plugins, "c1").exists());
}

#[test]
fn what_a_roll_back_could_not_undo_is_in_the_details() {
    let plugins = both();
    plugins.script("second", "echo '{\"code\":11,\"msg\":\"busy\",\"details\":\"d\"}'; exit 1");
    let error = runtime(&plugins).add(&list("1.0.0"), &container("c1")).unwrap_err();
    assert_eq!(error.code, Code::TryAgainLater);
    assert_eq!(error.details, "d; undo: plugin type=\"second\" failed (delete): busy; d");
    assert_eq!(plugins.names().last().map(String::as_str), Some("first DEL"));
}

#[test]
fn a_repeated_add_that_the_first_plugin_refuses_is_not_undone() {
    let plugins = both();
    let runtime = runtime(&plugins);
    runtime.add(&list("1.0.0"), &container("c1")).unwrap();
    plugins.calls();
    plugins.script("first", FAILS);
    runtime.add(&list("1.0.0"), &container("c1")).unwrap_err();
    assert_eq!(plugins.names(), ["first ADD"]);
    assert!(cache_file(&plugins, "c1").exists());
}

#[test]
fn nothing_is_called_when_a_plugin_or_an_argument_is_missing() {
    let plugins = both();
    let runtime = runtime(&plugins);
    let error = runtime.add(&list("1.0.0"), &container("a/b")).unwrap_err();
    assert_eq!(error.code, Code::InvalidEnvironment);
    let long = Container { ifname: "x".repeat(16), ..container("c1") };
    assert!(runtime.add(&list("1.0.0"), &long).is_err());
    std::fs::remove_file(plugins.bin().join("second")).unwrap();
    let error = runtime.add(&list("1.0.0"), &container("c1")).unwrap_err();
    assert!(error.msg.starts_with("failed to find plugin \"second\""), "{error}");
    assert!(plugins.calls().is_empty());
}

#[test]
fn check_asks_every_plugin_with_the_kept_result() {
    let plugins = both();
    let runtime = runtime(&plugins);
    let unknown = runtime.check(&list("1.0.0"), &container("c1")).unwrap_err();
    assert_eq!(unknown.code, Code::UnknownContainer);
    runtime.add(&list("1.0.0"), &container("c1")).unwrap();
    plugins.calls();
    runtime.check(&list("1.0.0"), &container("c1")).unwrap();
    let calls = plugins.calls();
    assert_eq!((calls[0].name.as_str(), calls[1].name.as_str()), ("first CHECK", "second CHECK"));
    assert!(stdin(&calls[0]).field("prevResult").is_some());
    let old = runtime.check(&list("0.3.1"), &container("c1")).unwrap_err();
    assert_eq!(old.code, Code::IncompatibleVersion);
    let disabled = NetworkList { disable_check: true, ..list("1.0.0") };
    runtime.check(&disabled, &container("c1")).unwrap();
    assert!(plugins.calls().is_empty());
}
