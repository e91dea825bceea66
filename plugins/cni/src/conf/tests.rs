use super::*;
use crate::Code;

fn conf(text: &str) -> NetConf {
    NetConf::parse(text.as_bytes().to_vec()).unwrap()
}

#[test]
fn the_shared_keys_are_read_in_any_case_and_the_bytes_are_kept() {
    let text = r#"{"CNIVersion":"1.0.0","Name":"n","type":"bridge","capabilities":{"mac":true},
        "IPAM":{"Type":"host-local","x":1},"dns":{"nameservers":["1.1.1.1"],"ttl":3},"other":[1]}"#;
    let conf = conf(text);
    assert_eq!(conf.cni_version, "1.0.0");
    assert_eq!((conf.name.as_str(), conf.plugin_type.as_str()), ("n", "bridge"));
    assert_eq!(conf.capabilities.get("mac"), Some(&true));
    assert_eq!(conf.ipam.plugin_type, "host-local");
    assert_eq!(conf.dns.nameservers, ["1.1.1.1"]);
    assert_eq!(conf.dns.extra.keys().collect::<Vec<_>>(), ["ttl"]);
    assert!(conf.raw.field("other").is_some());
    assert_eq!(conf.bytes, text.as_bytes());
}

#[test]
fn a_shared_key_of_the_wrong_type_is_refused_with_its_path() {
    for (text, want) in [
        (r#"{"name":7}"#, "name: expected a string, got 7"),
        (r#"{"ipam":{"type":[]}}"#, "ipam.type: expected a string, got a list"),
        (r#"{"ipam":"x"}"#, "ipam: expected an object, got \"x\""),
        (r#"{"dns":{"search":"x"}}"#, "dns.search: expected a list, got \"x\""),
        (r#"{"capabilities":{"mac":1}}"#, "capabilities.mac: expected true or false, got 1"),
        (
            r#"{"cni.dev/valid-attachments":[{"containerID":1}]}"#,
            "cni.dev/valid-attachments[0].containerID: expected a string, got 1",
        ),
        ("[]", "expected an object, got a list"),
    ] {
        let error = NetConf::parse(text.into()).unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (Code::Decoding, want), "{text}");
    }
}

#[test]
fn valid_attachments_come_under_either_name() {
    let list = |text: &str| -> Vec<String> {
        conf(text).valid_attachments.into_iter().map(|a| a.container_id + "/" + &a.ifname).collect()
    };
    let one = r#"[{"containerID":"a","ifname":"eth0"}]"#;
    assert_eq!(list(&format!(r#"{{"cni.dev/valid-attachments":{one}}}"#)), ["a/eth0"]);
    assert_eq!(list(&format!(r#"{{"cni.dev/attachments":{one}}}"#)), ["a/eth0"]);
    let both = format!(r#"{{"cni.dev/attachments":{one},"cni.dev/valid-attachments":[]}}"#);
    assert!(list(&both).is_empty());
    assert!(list(r#"{"cni.dev/valid-attachments":null}"#).is_empty());
    assert!(list("{}").is_empty());
}

#[test]
fn ten_thousand_valid_attachments_are_read() {
    let one = |n| format!(r#"{{"containerID":"{n:064}","ifname":"eth0"}}"#);
    let all: Vec<String> = (0..10_000).map(one).collect();
    let text = format!(r#"{{"cni.dev/valid-attachments":[{}]}}"#, all.join(","));
    assert!((text.len() as u64) < crate::skel::STDIN_LIMIT / 4);
    assert_eq!(conf(&text).valid_attachments.len(), 10_000);
}

#[test]
fn port_mappings_are_read_as_podman_and_as_containerd_write_them() {
    let want = PortMapping {
        host_port: 8081,
        container_port: 80,
        protocol: "tcp".into(),
        host_ip: String::new(),
    };
    for text in [
        r#"{"runtimeConfig":{"portMappings":[{"hostPort":8081,"containerPort":80,"protocol":"tcp","range":1}]}}"#,
        r#"{"RuntimeConfig":{"portMappings":[{"HostPort":8081,"ContainerPort":80,"Protocol":"tcp","HostIP":""}]}}"#,
    ] {
        assert_eq!(conf(text).port_mappings(), Ok(vec![want.clone()]), "{text}");
    }
    let error = conf(r#"{"runtimeConfig":{"portMappings":[{"hostPort":70000}]}}"#).port_mappings();
    assert_eq!(
        error.unwrap_err().msg,
        "runtimeConfig.portMappings[0].hostPort: expected an integer from 0 to 65535, got 70000"
    );
}

#[test]
fn every_capability_has_its_type() {
    let text = r#"{"name":"net1","runtimeConfig":{
        "ips":["10.0.0.5/24"],"mac":"02:00:00:00:00:01",
        "ipRanges":[[{"subnet":"10.0.0.0/24","rangeStart":"10.0.0.9"}]],
        "aliases":{"net1":["web"],"net2":["db"]},
        "dns":{"servers":["1.1.1.1"],"searches":["a.b"],"options":["ndots:1"]},
        "bandwidth":{"IngressRate":10000000,"IngressBurst":4294967295,"EgressRate":0}}}"#;
    let conf = conf(text);
    assert_eq!(conf.ips().unwrap(), ["10.0.0.5/24"]);
    assert_eq!(conf.mac().unwrap().as_deref(), Some("02:00:00:00:00:01"));
    assert_eq!(conf.ip_ranges().unwrap()[0][0].range_start, "10.0.0.9");
    assert_eq!(conf.aliases().unwrap(), ["web"]);
    assert_eq!(conf.runtime_dns().unwrap().unwrap().searches, ["a.b"]);
    assert_eq!(conf.bandwidth().unwrap().unwrap().ingress_burst, u64::from(u32::MAX));
}

#[test]
fn capabilities_that_are_absent_null_or_empty_are_not_set() {
    for text in ["{}", r#"{"runtimeConfig":null}"#, r#"{"runtimeConfig":{"ips":null,"mac":""}}"#] {
        let conf = conf(text);
        assert_eq!(conf.port_mappings(), Ok(vec![]));
        assert_eq!(conf.ips(), Ok(vec![]));
        assert_eq!(conf.mac(), Ok(None));
        assert_eq!(conf.aliases(), Ok(vec![]));
        assert_eq!(conf.bandwidth(), Ok(None));
    }
    assert_eq!(conf(r#"{"runtimeConfig":{"aliases":["a"]}}"#).aliases().unwrap(), ["a"]);
}

#[test]
fn args_cni_is_decoded_on_request() {
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Args {
        mac: String,
    }
    let conf = conf(r#"{"args":{"CNI":{"MAC":"x"}}}"#);
    assert_eq!(conf.args_cni(), Ok(Some(Args { mac: "x".into() })));
    assert_eq!(self::conf("{}").args_cni::<Args>(), Ok(None));
    let error = self::conf(r#"{"args":{"cni":{"mac":1}}}"#).args_cni::<Args>().unwrap_err();
    assert_eq!(error.msg, "args.cni.mac: expected a string, got 1");
}

#[test]
fn runtime_config_and_args_that_are_no_objects_are_refused() {
    let error = conf(r#"{"runtimeConfig":[]}"#).ips().unwrap_err();
    assert_eq!(error.code, Code::Decoding);
    assert_eq!(error.msg, "runtimeConfig: expected an object, got []");
    let error = conf(r#"{"args":"x"}"#).args_cni::<u8>().unwrap_err();
    assert_eq!(error.msg, "args: expected an object, got \"x\"");
}

#[test]
fn cni_args_are_pairs() {
    let args = Args::parse("IgnoreUnknown=1;K8S_POD_NAME=a;IP=10.0.0.5;IP=10.0.0.6").unwrap();
    assert_eq!(args.pairs().len(), 4);
    let known = args.take_known(&["IP", "MAC"]).unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [("IP", "10.0.0.6")]);
    assert_eq!(Args::parse(""), Ok(Args::default()));
}

#[test]
fn items_of_cni_args_that_are_no_pair_are_refused() {
    for (text, item) in [("A", "A"), ("A=1;", ""), ("A=b=c", "A=b=c"), (";", ""), ("A=1;;B=2", "")]
    {
        let error = Args::parse(text).unwrap_err();
        assert_eq!(error.code, Code::InvalidEnvironment);
        assert_eq!(error.msg, format!("ARGS: invalid pair {item:?}"));
    }
}

#[test]
fn unknown_args_are_refused_unless_ignore_unknown_says_so() {
    let take = |text: &str| {
        let args = Args::parse(text).unwrap();
        args.take_known(&["IP"]).map(|known| known.len()).map_err(|error| error.msg)
    };
    let unknown = Err("ARGS: unknown args [\"ip=1\" \"X=2\"]".to_owned());
    assert_eq!(take("ip=1;X=2"), unknown);
    assert_eq!(take("ip=1;X=2;IgnoreUnknown=FALSE"), unknown);
    assert_eq!(take("ip=1;X=2;IgnoreUnknown=0"), unknown);
    for yes in ["1", "true", "True"] {
        assert_eq!(take(&format!("ip=1;IP=2;IgnoreUnknown={yes}")), Ok(1));
    }
    assert!(take("IgnoreUnknown=yes").unwrap_err().contains("IgnoreUnknown=yes"));
}

#[test]
fn cni_args_survive_any_input() {
    corpus::survive("args", |input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(args) = Args::parse(&text) {
            let _ = args.take_known(&["IP", "MAC"]);
            let joined: Vec<String> =
                args.pairs().iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(joined.join(";"), text);
        }
    });
}

#[test]
fn a_configuration_survives_any_input() {
    corpus::survive("config", |input| {
        if let Ok(conf) = NetConf::parse(input.to_vec()) {
            let _ = (conf.port_mappings(), conf.ips(), conf.mac(), conf.ip_ranges());
            let _ = (conf.aliases(), conf.runtime_dns(), conf.bandwidth());
        }
    });
}
