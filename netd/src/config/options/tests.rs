use super::*;

fn read(args: &str, env: &[(&str, &str)]) -> Result<Options, OptionsError> {
    let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    match Options::read(&args, &env)? {
        Request::Run(options) => Ok(*options),
        Request::Help | Request::Version => panic!("no run: {args:?}"),
    }
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("netd.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

#[test]
fn a_flanneld_command_line_means_the_same() {
    let line = "-etcd-endpoints=http://10.0.0.1:2379,https://b:2379 --etcd-prefix /flannel//net/ \
                -iface eth1 -iface=10.0.0.2 -ip-masq -iptables-forward-rules=false \
                -healthz-ip 127.0.0.1 -healthz-port=8081 -subnet-lease-renew-margin=30 -v=5 \
                -subnet-file=/run/x/subnet.env -public-ip= -iface-regex=^eth[0-9]";
    let options = read(line, &[]).unwrap();
    assert_eq!(options.store.etcd_endpoints, "http://10.0.0.1:2379,https://b:2379");
    assert_eq!(options.store.etcd_prefix, "/flannel//net/");
    assert_eq!(options.iface.iface, ["eth1", "10.0.0.2"]);
    assert_eq!(options.iface.iface_regex, ["^eth[0-9]"]);
    assert_eq!(options.health, Some("127.0.0.1:8081".parse().unwrap()));
    assert!(options.ip_masq && !options.forward_rules && options.ip_masq_fully_random);
    assert_eq!(options.log, "trace");
    assert_eq!(options.subnet_file, PathBuf::from("/run/x/subnet.env"));
}

#[test]
fn without_options_everything_is_as_with_flanneld() {
    let options = read("", &[]).unwrap();
    assert_eq!(options.store.etcd_endpoints, "http://127.0.0.1:4001,http://127.0.0.1:2379");
    assert_eq!(options.store.etcd_prefix, "/coreos.com/network");
    assert_eq!(options.subnet_file, PathBuf::from("/run/flannel/subnet.env"));
    assert!(!options.ip_masq && options.forward_rules && !options.blackhole_route);
    assert_eq!(options.health, None);
}

#[test]
fn hosts_may_be_missing_for_a_day_at_least_however_short_leases_are() {
    let hours = |hours: u64| std::time::Duration::from_secs(hours * 3600);
    for (line, window) in [
        ("", hours(24)),
        ("-subnet-ttl=60", hours(24)),
        ("-subnet-ttl=172800", hours(48)),
        ("-missing-ttl=7200 -subnet-ttl=60", hours(2)),
    ] {
        assert_eq!(read(line, &[]).unwrap().window(), window, "{line}");
    }
}

#[test]
fn the_command_line_comes_before_netds_variables_those_before_flannels_and_all_before_the_file() {
    let (_dir, path) = file("etcd-prefix = '/f'\nip_masq = true\niface = ['a', 'b']\nlog = 'warn'");
    let line = format!("--config={path}");
    let options = read(&line, &[]).unwrap();
    assert_eq!((options.store.etcd_prefix.as_str(), options.ip_masq), ("/f", true));
    assert_eq!(options.iface.iface, ["a", "b"]);

    let env =
        [("FLANNELD_ETCD_PREFIX", "/flanneld"), ("FLANNELD_IFACE", "c"), ("NETD_IP_MASQ", "")];
    let options = read(&line, &env).unwrap();
    assert_eq!(options.store.etcd_prefix, "/flanneld");
    assert_eq!(options.iface.iface, ["c"], "a list is replaced as a whole");
    assert!(options.ip_masq, "an empty variable is no value");

    let env = [("FLANNELD_ETCD_PREFIX", "/flanneld"), ("NETD_ETCD_PREFIX", "/mine")];
    assert_eq!(read(&line, &env).unwrap().store.etcd_prefix, "/mine");
    assert_eq!(
        read(&format!("{line} -etcd-prefix /line"), &env).unwrap().store.etcd_prefix,
        "/line"
    );
    assert_eq!(read("", &[("NETD_CONFIG", &path)]).unwrap().store.etcd_prefix, "/f");
}

#[test]
fn each_of_several_networks_has_keys_and_a_file_of_its_own() {
    let line = "-networks=blue,green,old=/coreos.com/network -etcd-prefix=/coreos.com/network/";
    let each = read(line, &[]).unwrap().each();
    let told: Vec<_> = each
        .iter()
        .map(|of| (of.network.as_deref(), of.store.etcd_prefix.as_str(), of.subnet_file.to_str()))
        .collect();
    let file = |name: &str| format!("/run/flannel/networks/{name}.env");
    assert_eq!(
        told,
        [
            (Some("blue"), "/coreos.com/network/blue", Some(file("blue").as_str())),
            (Some("green"), "/coreos.com/network/green", Some(file("green").as_str())),
            (Some("old"), "/coreos.com/network", Some(file("old").as_str())),
        ]
    );
    let one = read("-networks= -subnet-dir=/x", &[]).unwrap();
    assert_eq!(one.each(), std::slice::from_ref(&one));
    let (_dir, path) = self::file("networks = ['a', 'b']\nsubnet-dir = '/x'");
    let each = read(&format!("--config={path}"), &[]).unwrap().each();
    assert_eq!(each[1].subnet_file.to_str(), Some("/x/b.env"));
}

#[test]
fn networks_whose_names_or_keys_cannot_be_are_refused() {
    for (line, says) in [
        ("-networks=blue,blue", "network blue is named twice"),
        ("-networks=../x", "\"../x\" is no name of a network"),
        ("-networks=a=", "--networks: \"a=\" has no prefix after the name: write NAME=PREFIX"),
        ("-networks=a=x=y", "--networks: \"a=x=y\" has no prefix"),
        ("-networks=,", "--networks: \"\" is no name of a network"),
        ("-networks=a,,b", "--networks: \"\" is no name of a network"),
        ("-avoid=10.0.0.1/24", "--avoid: \"10.0.0.1/24\" has host bits; write 10.0.0.0/24"),
        ("-standalone -networks=a", "--networks is given with --standalone"),
        ("-networks=subnets2", "where those of --etcd-prefix /coreos.com/network are"),
        ("-networks=config", "give it another name, or another prefix by config=PREFIX"),
        ("-networks=a,b=/coreos.com/network/a", "where those of network a are"),
        ("-networks=a=/netd/v1/x", "one in the other"),
        ("-watch-networks", "name them with --networks"),
    ] {
        let error = read(line, &[]).unwrap_err().to_string();
        assert!(error.contains(says), "{line}: {error}");
    }
}

#[test]
fn a_bad_flag_is_bad_usage_and_a_bad_variable_or_file_is_bad_configuration() {
    for (line, says) in [
        ("-etcd-endpoint=x", "there is no option --etcd-endpoint"),
        ("-ip-masq false", "\"false\" is no option"),
        ("-ip-masq=maybe", "--ip-masq: \"maybe\" is neither true nor false"),
        ("-etcd-prefix", "--etcd-prefix needs a value"),
        ("-etcd-endpoints=10.0.0.1:2379", "write http://HOST:2379"),
        ("-subnet-lease-renew-margin=1440", "1 to 1439"),
        ("-public-ip=10.0.0", "--public-ip: \"10.0.0\" is no such address"),
        ("-iface-regex=(", "is no regular expression"),
        ("-vxlan-tx-checksum=false", "\"false\" is neither on nor off"),
        ("-ip-masq-exclude=10.0.0.0", "is no network; write one as"),
        ("-ip-masq-exclude=10.0.0.1/8", "has host bits; write 10.0.0.0/8"),
        ("-ip-masq-exclude=::/0", "leave --ip-masq out"),
        ("-kube-subnet-mgr", "has no Kubernetes mode"),
        ("-kubeconfig-file /x", "has no Kubernetes mode"),
        ("-net-config-path=/x", "has no Kubernetes mode"),
        ("-healthz-port=70000", "is no port"),
        ("-iptables-resync=0", "\"0\" is no number of seconds from 1 to 31536000"),
        ("-iptables-resync=18446744073709551615", "from 1 to 31536000 (a year)"),
        ("-iptables-resync=31536001", "from 1 to 31536000 (a year)"),
        ("-subnet-ttl=18446744073709551615", "from 2 to 31536000 (a year)"),
        ("-subnet-ttl=1", "from 2 to 31536000"),
        ("-missing-ttl=1", "from 2 to 31536000"),
    ] {
        let error = read(line, &[]).unwrap_err();
        assert!(matches!(error, OptionsError::Usage(_)), "{line}: {error:?}");
        assert!(error.to_string().contains(says), "{line}: {error}");
    }
    let error = read("", &[("FLANNELD_IP_MASQ", "maybe")]).unwrap_err();
    assert_eq!(
        error,
        OptionsError::Config(
            "variable FLANNELD_IP_MASQ: \"maybe\" is neither true nor false".to_owned()
        )
    );
    for (text, says) in [
        ("etcd-prefx = '/a'", "there is no option etcd-prefx"),
        ("ip-masq = 'maybe'", "ip-masq: \"maybe\" is neither"),
        ("iface = 1.5", "iface: a float makes no sense here"),
        ("\n\niface = ", "line 3:"),
        ("kube-subnet-mgr = true", "no Kubernetes mode"),
    ] {
        let (_dir, path) = file(text);
        let error = read(&format!("--config {path}"), &[]).unwrap_err();
        assert!(matches!(error, OptionsError::Config(_)), "{error:?}");
        assert!(error.to_string().contains(says) && error.to_string().contains(&path), "{error}");
    }
    let error = read("--config /does/not/exist", &[]).unwrap_err();
    assert!(matches!(error, OptionsError::Config(_)), "{error:?}");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for (line, says) in [
        ("-etcd-own-prefix /coreos.com/network/netd", "one in the other"),
        ("-etcd-own-prefix /coreos.com", "one in the other"),
        ("-etcd-keyfile /k", "belong together"),
        ("-ip-masq-exclude 10.0.0.0/8", "without ip-masq"),
        ("-etcd-password x", "without etcd-username"),
    ] {
        let error = read(line, &[]).unwrap_err();
        assert!(error.to_string().contains(says), "{line}: {error}");
    }
    read("-etcd-own-prefix /coreos.com/network2", &[]).unwrap();
}

#[test]
fn a_password_is_never_printed() {
    let options = read("-etcd-username u -etcd-password se-cret", &[]).unwrap();
    assert!(!format!("{options:?}").contains("se-cret"));
    let flags = store_flags("--etcd-username u --etcd-password se-cret");
    assert!(!format!("{flags:?}").contains("se-cret"));
}

fn store_flags(line: &str) -> StoreFlags {
    let command = <StoreFlags as clap::Args>::augment_args(clap::Command::new("x"));
    let matches = command.get_matches_from(std::iter::once("x").chain(line.split_whitespace()));
    <StoreFlags as clap::FromArgMatches>::from_arg_matches(&matches).unwrap()
}

#[test]
fn commands_find_the_store_where_the_agent_finds_it() {
    let (_dir, path) = file(
        "etcd-prefix = '/f'\netcd-endpoints = ['http://f:1', 'http://f:2']\niface = 'eth1'\n\
         etcd-cafile = '/f.pem'",
    );
    let variables = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let line = format!("--config {path} --etcd-cafile /line.pem");
    let pairs = [
        ("FLANNELD_ETCD_PREFIX", "/flanneld"),
        ("NETD_ETCD_PREFIX", "/mine"),
        ("NETD_ETCD_CAFILE", "/variable.pem"),
    ];
    let store = store_flags(&line).read(&variables(&pairs)).unwrap();
    assert_eq!(Ok(store.clone()), read(&line, &pairs).map(|options| options.store));
    assert_eq!(store.etcd_endpoints, "http://f:1,http://f:2");
    assert_eq!(store.etcd_prefix, "/mine");
    assert_eq!(store.etcd_cafile, Some("/line.pem".into()));
    let store = store_flags("").read(&variables(&[("NETD_CONFIG", &path)])).unwrap();
    assert_eq!(store.etcd_prefix, "/f");

    let read = |line: &str, pairs: &[_]| store_flags(line).read(&variables(pairs)).unwrap_err();
    let error = read("--etcd-endpoints 10.0.0.1:2379", &[]);
    assert!(matches!(error, OptionsError::Usage(_)), "{error:?}");
    let error = read("", &[("NETD_ETCD_ENDPOINTS", "x")]);
    assert!(matches!(&error, OptionsError::Config(text) if text.contains("NETD_ETCD_ENDPOINTS")));
    let (_dir, path) = file("etcd-prefx = '/a'");
    let error = read("", &[("NETD_CONFIG", &path)]);
    assert!(matches!(&error, OptionsError::Config(text) if text.contains("no option etcd-prefx")));
}

#[test]
fn klogs_flags_are_taken_and_said_to_do_nothing() {
    let options = read("-vmodule=a=1 -log_backtrace_at x:1 -alsologtostderr -v 2", &[]).unwrap();
    assert_eq!(options.ignored.len(), 3);
    assert_eq!(options.log, "debug");
    assert_eq!(read("-log=warn -v=9", &[]).unwrap().log, "warn");
}

#[test]
fn help_names_every_option_that_is_not_hidden() {
    let text = usage();
    for row in table::OPTIONS.iter().filter(|row| !row.help.is_empty()) {
        assert!(text.contains(&format!("--{}", row.name)), "{}", row.name);
    }
    let args = ["-ip-masq".to_owned(), "-h".to_owned()];
    assert_eq!(Options::read(&args, &BTreeMap::new()), Ok(Request::Help));
    let args = ["-version".to_owned()];
    assert_eq!(Options::read(&args, &BTreeMap::new()), Ok(Request::Version));
}
