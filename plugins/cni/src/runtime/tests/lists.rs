//! Reading lists, finding them, and cnitool's variables.

use super::*;
use crate::runtime::cnitool::{Cnitool, container_id};
use crate::{Env, Verb};
use std::path::Path;

fn parse(text: &str) -> Result<NetworkList, Error> {
    NetworkList::parse(text.as_bytes().to_vec())
}

#[test]
fn booleans_may_be_strings() {
    let with = |value: &str| {
        parse(&format!(
            r#"{{"name":"n","disableCheck":{value},"disableGC":{value},"loadOnlyInlinedPlugins":{value},"plugins":[{{"type":"a"}}]}}"#
        ))
    };
    for (value, want) in
        [("true", true), ("\"True\"", true), ("false", false), ("\"false\"", false)]
    {
        let list = with(value).unwrap();
        let got = [list.disable_check, list.disable_gc, list.load_only_inlined_plugins];
        assert_eq!(got, [want; 3], "{value}");
    }
    for value in ["1", "\"yes\"", "[]"] {
        let error = with(value).unwrap_err();
        assert_eq!(error.code, Code::Decoding);
        assert!(error.msg.starts_with("disableCheck: expected true or false, got "), "{error}");
    }
}

#[test]
fn the_newest_known_version_is_used() {
    let version = |keys: &str| {
        parse(&format!(r#"{{{keys}"name":"n","plugins":[{{"type":"a"}}]}}"#))
            .map(|list| list.version)
    };
    for (keys, want) in [
        ("", Version::V0_1_0),
        (r#""cniVersion":"0.4.0","#, Version::V0_4_0),
        (r#""cniVersions":["0.3.1","1.0.0","9.0.0"],"#, Version::V1_0_0),
        (r#""cniVersion":"1.1.0","cniVersions":["0.3.1"],"#, Version::V1_1_0),
        (r#""cniVersion":"9.0.0","cniVersions":["0.3.1"],"#, Version::V0_3_1),
    ] {
        assert_eq!(version(keys), Ok(want), "{keys}");
    }
    for keys in [r#""cniVersion":"1.0","#, r#""cniVersions":["9.0.0"],"#, r#""cniVersions":[],"#] {
        assert_eq!(version(keys).unwrap_err().code, Code::IncompatibleVersion, "{keys}");
    }
}

#[test]
fn a_list_that_says_nothing_useful_is_refused_with_the_key() {
    for (text, code, msg) in [
        ("[]", 6, "expected an object, got a list"),
        ("{}", 7, "missing network name"),
        (r#"{"name":"a b"}"#, 7, "invalid characters found in network name"),
        (r#"{"name":7}"#, 6, "name: expected a string, got 7"),
        (r#"{"name":"n","plugins":[]}"#, 7, "no plugins in list"),
        (r#"{"name":"n","plugins":{}}"#, 6, "plugins: expected a list, got an object"),
        (r#"{"name":"n","plugins":[{}]}"#, 7, "plugins[0].type: missing plugin type"),
        (r#"{"name":"n","plugins":[7]}"#, 6, "plugins[0]: expected an object, got 7"),
        (
            r#"{"name":"n","plugins":[{"type":"a","capabilities":{"x":1}}]}"#,
            6,
            "plugins[0].capabilities.x: expected true or false, got 1",
        ),
        (
            r#"{"name":"n","loadOnlyInlinedPlugins":true}"#,
            7,
            "loadOnlyInlinedPlugins is true, and no plugins key",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.code.number(), error.msg.as_str()), (code, msg), "{text}");
    }
}

fn write(plugins: &Plugins, file: &str, text: &str) {
    let file = plugins.path().join("conf").join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

#[test]
fn networks_are_found_conflists_first_and_by_file_name() {
    let plugins = Plugins::new();
    let single = |kind: &str| format!(r#"{{"cniVersion":"1.0.0","name":"n","type":"{kind}"}}"#);
    let list = |kind: &str| format!(r#"{{"name":"n","plugins":[{{"type":"{kind}"}}]}}"#);
    let runtime = runtime(&plugins);
    let found = || runtime.network("n").map(|list| list.plugins[0].plugin_type.clone());
    assert_eq!(
        found().unwrap_err().msg,
        format!("no net configuration with name \"n\" in {}", runtime.conf_dirs[0].display())
    );
    for (file, kind) in [("20-b.json", "json"), ("10-a.conf", "conf")] {
        write(&plugins, file, &single(kind));
        assert_eq!(found().as_deref(), Ok(kind));
    }
    for (file, kind) in [("40.conflist", "second"), ("30.conflist", "first")] {
        write(&plugins, file, &list(kind));
        assert_eq!(found().as_deref(), Ok(kind));
    }
    write(&plugins, "00-x.txt", "garbage");
    std::fs::create_dir(plugins.path().join("conf/00-dir.conflist")).unwrap();
    assert_eq!(runtime.networks().1, []);
}

#[test]
fn a_broken_file_does_not_hide_other_networks() {
    let plugins = Plugins::new();
    write(&plugins, "00.conflist", "garbage");
    write(&plugins, "10.conf", r#"{"name":"n","type":"a"}"#);
    let runtime = runtime(&plugins);
    assert!(runtime.network("n").is_ok());
    let error = runtime.network("m").unwrap_err();
    assert!(error.msg.contains("00.conflist: expected value"), "{error}");
}

#[test]
fn a_single_configuration_becomes_a_list() {
    let list = NetworkList::of_single(br#"{"cniVersion":"0.4.0","name":"n","type":"a","k":1}"#);
    let list = list.unwrap();
    assert_eq!((list.version, list.plugins.len()), (Version::V0_4_0, 1));
    assert!(list.plugins[0].object.get("k").is_some());
    assert_eq!(NetworkList::parse(list.bytes.clone()), Ok(list));
    assert!(NetworkList::of_single(br#"{"name":"n"}"#).unwrap_err().msg.contains("type"));
}

#[test]
fn plugins_in_the_networks_directory_come_last_and_are_kept_for_del() {
    let plugins = Plugins::new();
    write(&plugins, "n/20.conf", r#"{"type":"c"}"#);
    write(&plugins, "n/10.conf", r#"{"type":"b"}"#);
    write(&plugins, "n/10.conflist", "ignored");
    write(&plugins, "1.conflist", r#"{"name":"n","x":1,"plugins":[{"type":"a"}]}"#);
    let list = runtime(&plugins).network("n").unwrap();
    let types: Vec<_> = list.plugins.iter().map(|plugin| plugin.plugin_type.as_str()).collect();
    assert_eq!(types, ["a", "b", "c"]);
    assert_eq!(NetworkList::parse(list.bytes.clone()).unwrap().plugins, list.plugins);
    let inlined = r#"{"name":"n","loadOnlyInlinedPlugins":"true","plugins":[{"type":"a"}]}"#;
    write(&plugins, "1.conflist", inlined);
    assert_eq!(runtime(&plugins).network("n").unwrap().plugins.len(), 1);
    write(&plugins, "1.conflist", r#"{"name":"n"}"#);
    assert_eq!(runtime(&plugins).network("n").unwrap().plugins.len(), 2);
    write(&plugins, "1.conflist", r#"{"name":"m"}"#);
    assert!(runtime(&plugins).network("m").unwrap_err().msg.ends_with("no plugin configs found"));
}

#[test]
fn a_container_id_is_cnitools() {
    // printf /run/netns/a | sha512sum | cut -c1-20
    let id = "cnitool-a145bc1ace582bff43bd";
    assert_eq!(container_id(Path::new("/run/netns/a")), id);
    assert_eq!(container_id(Path::new("/run/./x/../netns/a/")), id);
}

#[test]
fn cnitools_variables_are_read() {
    let env = Env::default()
        .with("NETCONFPATH", "/conf")
        .with("CNI_PATH", "/a:/b")
        .with("CNI_ARGS", "A=b;C=d")
        .with("CAP_ARGS", r#"{"mac":"02::"}"#)
        .with("CNI_IFNAME", "net0");
    let tool = Cnitool::from_env(&env).unwrap();
    assert_eq!(tool.runtime.conf_dirs, [PathBuf::from("/conf")]);
    assert_eq!(tool.runtime.plugin_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
    let container = tool.container(Path::new("/run/netns/a"));
    assert_eq!((container.ifname.as_str(), container.args.len()), ("net0", 2));
    assert!(container.capability_args.get("mac").is_some());
}

#[test]
fn cnitools_variables_have_defaults_and_are_checked() {
    let tool = Cnitool::from_env(&Env::default()).unwrap();
    assert_eq!((tool.runtime, tool.ifname.as_str()), (Runtime::new(), "eth0"));
    for (name, value) in [("CNI_ARGS", "A"), ("CAP_ARGS", "{"), ("CAP_ARGS", "[]")] {
        let error = Cnitool::from_env(&Env::default().with(name, value)).unwrap_err();
        assert_eq!(error.code, Code::InvalidEnvironment, "{name}");
    }
}

#[test]
fn every_verb_has_its_own_name() {
    for verb in [Verb::Add, Verb::Del, Verb::Check, Verb::Gc, Verb::Status] {
        assert_eq!(Verb::parse(verb.as_str()), Some(verb));
    }
    assert_eq!(Verb::parse("VERSION"), None);
}

#[test]
fn a_network_list_survives_any_input() {
    corpus::survive("list", |input| {
        let _ = NetworkList::of_single(input);
        if let Ok(list) = NetworkList::parse(input.to_vec()) {
            assert_eq!(NetworkList::parse(list.bytes.clone()), Ok(list));
        }
    });
}

#[test]
fn a_cache_file_survives_any_input() {
    corpus::survive("cache", |input| drop(super::cache::parse(input)));
}

#[test]
fn cnitools_variables_survive_any_input() {
    corpus::survive("args", |input| {
        let text = String::from_utf8_lossy(input);
        let (args, caps) = text.split_at(text.len().min(text.find(';').unwrap_or(0)));
        let env = Env::default().with("CNI_ARGS", args).with("CAP_ARGS", caps);
        if let Ok(tool) = Cnitool::from_env(&env) {
            assert!(tool.container(Path::new(args)).id.starts_with("cnitool-"));
        }
    });
}
