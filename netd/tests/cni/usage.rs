use crate::host::Host;

#[test]
fn arguments_that_make_no_sense_exit_with_2() {
    let host = Host::new();
    for (line, says) in [
        ("add", "NETWORK"),
        ("add net1", "NETNS"),
        ("add net1 a --args nopair", "ARGS: invalid pair \"nopair\""),
        ("add net1 a --capability-args 7", "expected an object, got 7"),
        ("gc net1 --valid c1", "expected CONTAINER/IFNAME"),
        ("gc net1 --valid c1/way/too", "interface name"),
        ("gc net1 --valid c1/eth0 --none-valid", "cannot be used with"),
        ("gc net1 --stale --none-valid", "cannot be used with"),
        ("gc net1 --none-valid --dry-run", "cannot be used with"),
        ("gc net1 --dry-run", "--stale"),
        ("status --output yaml", "yaml"),
        ("nothing", "unrecognized subcommand"),
    ] {
        let stderr = host.cni(line).fails(2);
        assert!(stderr.contains(says), "{line}: {stderr}");
    }
    assert!(host.called().is_empty());
}

#[test]
fn configuration_that_is_not_there_or_broken_exits_with_64() {
    let host = Host::new();
    let stderr = host.cni("add other a").fails(64);
    assert!(stderr.contains("no net configuration with name \"other\" in "), "{stderr}");
    assert!(stderr.contains("code: 7 (invalid configuration)"), "{stderr}");

    host.conflist("other", r#"{"cniVersion":"1.1.0","name":"other","plugins":[{"type":7}]}"#);
    for verb in ["add other a", "del other a", "check other a", "gc other --none-valid"] {
        let stderr = host.cni(verb).fails(64);
        assert!(stderr.contains("other.conflist: plugins[0].type: expected a string, got 7"));
    }
    let env = [("CNI_ARGS", "nopair")];
    let stderr = host.cni_with("add net1 a", &env).fails(64);
    assert!(stderr.contains("ARGS: invalid pair \"nopair\""), "{stderr}");
    let stderr = host.cni_with("add net1 a", &[("CAP_ARGS", "7")]).fails(64);
    assert!(stderr.contains("CAP_ARGS: expected an object, got 7"), "{stderr}");
    assert!(host.called().is_empty());
}

#[test]
fn a_container_id_or_interface_name_that_is_none_is_refused_before_any_call() {
    let host = Host::new();
    let stderr = host.cni("add net1 a --container-id a/b").fails(1);
    assert!(stderr.contains("invalid characters in containerID"), "{stderr}");
    let stderr = host.cni("add net1 a --ifname sixteen-bytes-xx").fails(1);
    assert!(stderr.contains("interface name is too long"), "{stderr}");
    assert!(host.called().is_empty());
}

#[test]
fn help_goes_to_stdout() {
    let host = Host::new();
    for line in ["--help", "gc --help", "add --help"] {
        let mut command = crate::host::netd();
        let out = command.arg("cni").args(line.split(' ')).output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty());
        assert!(String::from_utf8(out.stdout).unwrap().contains("Usage: netd cni"), "{line}");
    }
    assert!(host.called().is_empty());
}
