use crate::host::{Host, netd, ran};

/// As `printf /run/netns/a | sha512sum | cut -c1-20` says.
const ID_OF_RUN_NETNS_A: &str = "cnitool-a145bc1ace582bff43bd";

#[test]
fn add_prints_the_result_as_cnitool_does() {
    let host = Host::new();
    let stdout = host.cni("add net1 /run/netns/a").ok();
    let expected = r#"{
    "cniVersion": "1.1.0",
    "interfaces": [
        {
            "mac": "02:00:00:00:00:05",
            "name": "eth0",
            "sandbox": "/run/netns/a"
        }
    ],
    "ips": [
        {
            "address": "10.0.0.5/24",
            "interface": 0
        }
    ]
}"#;
    assert_eq!(stdout, expected);
}

#[test]
fn the_chain_runs_in_order_and_back_with_each_result_handed_on() {
    let host = Host::new();
    host.cni("add net1 /run/netns/a --container-id c1").ok();
    let calls = host.calls();
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["first ADD", "second ADD"]);
    assert!(calls[0].conf.get("prevResult").is_none());
    assert_eq!(calls[1].conf["prevResult"]["ips"][0]["address"], "10.0.0.5/24");
    assert_eq!(host.cached(), ["net1-c1-eth0"]);

    assert_eq!(host.cni("check net1 /run/netns/a --container-id c1").ok(), "");
    assert_eq!(host.called(), ["first CHECK c1", "second CHECK c1"]);

    assert_eq!(host.cni("del net1 /run/netns/a --container-id c1").ok(), "");
    let calls = host.calls();
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["second DEL", "first DEL"]);
    assert_eq!(calls[0].conf["prevResult"]["ips"][0]["address"], "10.0.0.5/24");
    assert!(host.cached().is_empty());
}

#[test]
fn a_second_del_without_a_namespace_succeeds() {
    let host = Host::new();
    host.cni("add net1 /run/netns/a --container-id c1").ok();
    host.cni("del net1 --container-id c1").ok();
    host.cni("del net1 --container-id c1").ok();
    let calls = host.calls();
    assert_eq!(calls.last().unwrap().env("CNI_NETNS"), "");
    assert_eq!(calls.last().unwrap().env("CNI_CONTAINERID"), "c1");
}

#[test]
fn a_container_is_named_after_its_namespace() {
    let host = Host::new();
    host.cni("add net1 a").ok();
    let calls = host.calls();
    assert_eq!(calls[0].env("CNI_NETNS"), "/run/netns/a");
    assert_eq!(calls[0].env("CNI_IFNAME"), "eth0");
    assert_eq!(calls[0].env("CNI_CONTAINERID"), ID_OF_RUN_NETNS_A);
    host.cni("del net1 /run/netns/../netns/a").ok();
    assert_eq!(host.calls()[0].env("CNI_CONTAINERID"), ID_OF_RUN_NETNS_A);
}

#[test]
fn cnitools_variables_are_heeded() {
    let host = Host::new();
    let env = [
        ("CNI_IFNAME", "net5"),
        ("CNI_ARGS", "IP=10.0.0.9"),
        ("CAP_ARGS", r#"{"mac":"02::1","ips":["10.0.0.9"]}"#),
    ];
    host.cni_with("add net1 a --container-id c1", &env).ok();
    let call = &host.calls()[0];
    assert_eq!(call.env("CNI_IFNAME"), "net5");
    assert_eq!(call.env("CNI_ARGS"), "IP=10.0.0.9");
    let told = r#"{"mac":"02::1"}"#;
    assert_eq!(call.conf["runtimeConfig"].to_string(), told, "only what is declared");
}

#[test]
fn options_come_before_variables_even_broken_ones() {
    let host = Host::new();
    let env = [
        ("CNI_IFNAME", "net5"),
        ("CNI_ARGS", "no pair"),
        ("CAP_ARGS", "no json"),
        ("NETCONFPATH", "/no/such/dir"),
        ("CNI_PATH", "/no/such/dir"),
    ];
    let (conf, bin) = (host.path("conf"), host.path("bin"));
    let line = format!(
        "add net1 a --container-id c1 --ifname net6 --args A=1;B=2 --capability-args \
         {{\"mac\":\"02::2\"}} --conf-dir {} --plugin-dir /no/such/dir --plugin-dir {}",
        conf.display(),
        bin.display()
    );
    host.cni_with(&line, &env).ok();
    let call = &host.calls()[0];
    assert_eq!(call.env("CNI_IFNAME"), "net6");
    assert_eq!(call.env("CNI_ARGS"), "A=1;B=2");
    assert_eq!(call.conf["runtimeConfig"]["mac"], "02::2");
    assert_eq!(call.env("CNI_PATH"), format!("/no/such/dir:{}", bin.display()));
}

#[test]
fn a_failing_plugin_is_named_with_code_message_and_details() {
    let host = Host::new();
    let fails = r#"[ $CNI_COMMAND = ADD ] || exit 0
echo '{"code":11,"msg":"busy","details":"try later"}'; exit 1"#;
    host.plugin("second", fails);
    let stderr = host.cni("add net1 a --container-id c1").fails(1);
    assert_eq!(
        stderr,
        "error: plugin type=\"second\" failed (add): busy\n  code: 11 (try again later)\n  \
         details: try later\n"
    );
    let undone = ["first ADD c1", "second ADD c1", "second DEL c1", "first DEL c1"];
    assert_eq!(host.called(), undone);
    assert!(host.cached().is_empty());
}

#[test]
fn a_plugin_that_is_missing_or_dies_is_an_error_of_its_own() {
    let host = Host::new();
    host.network("net2", &["first", "nobody"]);
    let stderr = host.cni("add net2 a").fails(1);
    assert!(stderr.contains("failed to find plugin \"nobody\" in path"), "{stderr}");
    assert!(host.called().is_empty(), "nothing is begun that cannot be ended");
    host.plugin("second", "echo oops >&2; exit 3");
    let stderr = host.cni("del net1 a").fails(1);
    assert!(stderr.contains("plugin type=\"second\" failed (delete)"), "{stderr}");
    assert!(stderr.contains("oops"), "{stderr}");
    assert_eq!(host.calls().len(), 2, "first is called though second failed");
}

#[test]
fn check_of_what_was_never_added_fails_with_code_3() {
    let host = Host::new();
    let stderr = host.cni("check net1 a --container-id c1").fails(1);
    assert!(stderr.contains("no result of an ADD is kept for net1-c1-eth0"), "{stderr}");
    assert!(stderr.contains("code: 3 (unknown container)"), "{stderr}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let host = Host::new();
    let mut command = netd();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.args(["cni", "list", "--conf-dir"]).arg(host.path("conf")).stdout(writer);
    let ran = ran(command.output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}
