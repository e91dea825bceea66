use super::*;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

const V4: &str = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
const DUAL: &str = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\n\
    FLANNEL_IPV6_NETWORK=fc00::/48\nFLANNEL_IPV6_SUBNET=fc00:0:0:5::1/64\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";

fn v4(text: &str) -> Ipv4Network {
    text.parse().unwrap()
}

fn v6(text: &str) -> Ipv6Network {
    text.parse().unwrap()
}

#[test]
fn a_lease_becomes_flannels_bytes() {
    let pair = (v4("10.5.0.0/16"), v4("10.5.72.0/24"));
    assert_eq!(SubnetEnv::of_lease(Some(pair), None, 1450, true).to_string(), V4);
    let pair6 = (v6("fc00::/48"), v6("fc00:0:0:5::/64"));
    assert_eq!(SubnetEnv::of_lease(Some(pair), Some(pair6), 1450, false).to_string(), DUAL);
    assert_eq!(
        SubnetEnv::of_lease(None, Some(pair6), 1430, false).to_string(),
        "FLANNEL_IPV6_NETWORK=fc00::/48\nFLANNEL_IPV6_SUBNET=fc00:0:0:5::1/64\n\
         FLANNEL_MTU=1430\nFLANNEL_IPMASQ=false\n"
    );
}

#[test]
fn what_is_written_is_read_again() {
    for text in [V4, DUAL] {
        assert_eq!(SubnetEnv::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn lists_of_networks_are_read_once_each_and_masked() {
    let text = V4.replace("10.5.0.0/16", "10.5.1.0/16,10.6.0.0/16,10.5.0.0/16");
    let env = SubnetEnv::parse(&text).unwrap();
    assert_eq!(env.networks, [v4("10.5.0.0/16"), v4("10.6.0.0/16")]);
}

#[test]
fn lines_are_taken_by_the_letter() {
    let text = format!(
        "# a comment\n FLANNEL_MTU=9\nOTHER\n{V4}FLANNEL_MTU=1400\nFLANNEL_IPMASQ=TRUE\r\n"
    );
    let env = SubnetEnv::parse(&text).unwrap();
    assert_eq!((env.mtu, env.ip_masq), (1400, false));
}

#[test]
fn all_that_is_missing_is_listed() {
    let all = "is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, \
               FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ";
    assert_eq!(SubnetEnv::parse("").unwrap_err().to_string(), all);
    let error = SubnetEnv::parse("FLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1").unwrap_err();
    let text = "is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_IPMASQ";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    for (line, want) in [
        ("FLANNEL_MTU=", "line 1: FLANNEL_MTU=: expected a number of bytes"),
        ("FLANNEL_MTU=+1", "line 1: FLANNEL_MTU=+1: expected a number of bytes"),
        ("FLANNEL_MTU=4294967296", "line 1: FLANNEL_MTU=4294967296: expected a number of bytes"),
        ("FLANNEL_MTU", "line 1: FLANNEL_MTU: expected \"FLANNEL_MTU=VALUE\""),
        (
            "\nFLANNEL_SUBNET=10.5.72.1",
            "line 2: FLANNEL_SUBNET=10.5.72.1: expected an IPv4 network like 10.5.0.0/16",
        ),
        (
            "FLANNEL_NETWORK=10.5.0.0/16,",
            "line 1: FLANNEL_NETWORK=10.5.0.0/16,: expected an IPv4 network like 10.5.0.0/16",
        ),
        (
            "FLANNEL_IPV6_NETWORK=10.5.0.0/16",
            "line 1: FLANNEL_IPV6_NETWORK=10.5.0.0/16: expected an IPv6 network like fc00::/48",
        ),
    ] {
        assert_eq!(SubnetEnv::parse(line).unwrap_err().to_string(), want);
    }
}

#[test]
fn the_file_is_readable_by_all_and_replaced_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flannel/subnet.env");
    let env = SubnetEnv::parse(V4).unwrap();
    std::fs::create_dir(dir.path().join("flannel")).unwrap();
    std::fs::write(&path, "old").unwrap();
    let old = std::fs::File::open(&path).unwrap();
    env.write(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), V4);
    assert_eq!(std::io::read_to_string(old).unwrap(), "old");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(SubnetEnv::read(&path).unwrap(), env);
}

#[test]
fn a_missing_directory_is_made_for_all_to_read_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/flannel/subnet.env");
    // The umask is the whole process's; other tests set modes themselves.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let written = SubnetEnv::parse(V4).unwrap().write(&path);
    rustix::process::umask(before);
    written.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o755));
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("subnet.env");
    std::fs::create_dir(&path).unwrap();
    let error = SubnetEnv::parse(V4).unwrap().write(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("write {}", path.display()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_not_there_is_told_from_a_wrong_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("subnet.env");
    assert!(SubnetEnv::read(&path).unwrap_err().is_missing());
    std::fs::write(&path, "FLANNEL_MTU=x").unwrap();
    let error = SubnetEnv::read(&path).unwrap_err();
    assert!(!error.is_missing());
    let want = format!("{} line 1: FLANNEL_MTU=x: expected a number of bytes", path.display());
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_daemon_finds_its_previous_subnet_masked() {
    let previous = Previous::parse(DUAL);
    assert_eq!(previous.network, Some(v4("10.5.0.0/16")));
    assert_eq!(previous.subnet, Some(v4("10.5.72.0/24")));
    assert_eq!(previous.ipv6_network, Some(v6("fc00::/48")));
    assert_eq!(previous.ipv6_subnet, Some(v6("fc00:0:0:5::/64")));
    assert!(previous.skipped.is_empty());
}

#[test]
fn a_daemon_reads_what_people_make_of_the_file() {
    for line in [
        "export FLANNEL_SUBNET=10.5.72.1/24",
        "  FLANNEL_SUBNET = \"10.5.72.1/24\" # mine",
        "FLANNEL_SUBNET='10.5.72.1/24'",
        "FLANNEL_SUBNET=10.5.72.1/24 # mine",
        "FLANNEL_SUBNET=10.9.0.1/24\nFLANNEL_SUBNET=10.5.72.1/24",
        "FLANNEL_SUBNET=nonsense,10.5.72.1/24",
    ] {
        assert_eq!(Previous::parse(line).subnet, Some(v4("10.5.72.0/24")), "{line}");
    }
}

#[test]
fn nonsense_and_more_than_one_subnet_are_no_previous_subnet() {
    for (line, skipped) in [
        ("FLANNEL_SUBNET=10.5.72.1", &["FLANNEL_SUBNET=10.5.72.1"][..]),
        ("FLANNEL_SUBNET=a, b", &["FLANNEL_SUBNET=a", "FLANNEL_SUBNET=b"]),
        ("FLANNEL_SUBNET=10.5.72.1/24,10.5.73.1/24", &[]),
        ("#FLANNEL_SUBNET=10.5.72.1/24", &[]),
        ("FLANNEL_SUBNET=", &[]),
        ("", &[]),
    ] {
        let previous = Previous::parse(line);
        assert_eq!(previous.subnet, None, "{line}");
        assert_eq!(previous.skipped, skipped, "{line}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("subnet.env");
    assert_eq!(Previous::read(&path).unwrap(), Previous::default());
    std::fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
    assert_eq!(Previous::read(&path).unwrap(), Previous::default());
}

proptest! {
    #[test]
    fn no_text_makes_either_reader_panic(text in "(FLANNEL_[A-Z6_]*|[=,/.:#\"' a-z0-9\n])*") {
        let _ = SubnetEnv::parse(&text);
        let _ = Previous::parse(&text);
    }

    #[test]
    fn every_lease_is_read_as_it_was_written(
        base: u32, len in 8u8..30, base6: u128, len6 in 16u8..126, mtu: u32, masq: bool,
    ) {
        let net = Ipv4Network::new(base.into(), len).unwrap();
        let net6 = Ipv6Network::new(base6.into(), len6).unwrap();
        let net = Ipv4Network::new(net.network(), len).unwrap();
        let net6 = Ipv6Network::new(net6.network(), len6).unwrap();
        let env = SubnetEnv::of_lease(Some((net, net)), Some((net6, net6)), mtu, masq);
        prop_assert_eq!(SubnetEnv::parse(&env.to_string()).unwrap(), env.clone());
        prop_assert_eq!(Previous::parse(&env.to_string()).subnet, Some(net));
        prop_assert_eq!(Previous::parse(&env.to_string()).ipv6_subnet, Some(net6));
    }
}
