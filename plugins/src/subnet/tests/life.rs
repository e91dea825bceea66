//! From ADD to DEL.

use std::os::unix::fs::PermissionsExt;

use cni::{Code, Verb};

use super::bench::Bench;
use crate::subnet::{add, check, del, gc, status};

/// As the reference plugin leaves it.
const REFERENCE: &str = r#"{"cniVersion":"0.3.1","ipMasq":true,"ipam":{"ranges":[[{"subnet":"10.1.17.0/24"}]],"routes":[],"type":"host-local"},"mtu":1472,"name":"net","type":"ptp"}"#;

#[test]
fn del_tells_the_delegate_what_add_told_it_and_can_be_repeated() {
    let bench = Bench::new();
    let settings = bench.settings("{}");
    let result = add(&settings, &bench.request(Verb::Add, "")).expect("ADD");
    assert_eq!(result.ips[0].address.to_string(), "10.1.17.2/24");
    let told = bench.told("ADD").to_string();
    let kept = [("c1".to_owned(), told.clone()), ("c1:net:eth0".to_owned(), told.clone())];
    assert_eq!(bench.kept(), kept);
    let mode = |name: &str| std::fs::metadata(bench.path(name)).expect(name).permissions().mode();
    assert_eq!((mode("state") & 0o777, mode("state/c1:net:eth0") & 0o777), (0o700, 0o600));

    std::fs::remove_file(bench.path("subnet.env")).expect("remove");
    let other = bench.settings(r#"{"type":"ptp"}"#);
    del(&other, &bench.request(Verb::Del, "")).expect("DEL");
    assert_eq!(bench.told("DEL").to_string(), told);
    del(&other, &bench.request(Verb::Del, "")).expect("second DEL");
    assert_eq!(bench.calls(), ["bridge ADD c1 eth0", "bridge DEL c1 eth0"]);
    assert!(bench.kept().is_empty());
}

#[test]
fn networks_and_interfaces_of_one_container_do_not_overwrite_each_other() {
    let bench = Bench::new();
    let (red, blue) = (bench.settings("{}"), bench.settings(r#"{"type":"ptp"}"#));
    add(&red, &bench.request(Verb::Add, "")).expect("first ADD");
    add(&blue, &bench.of(Verb::Add, "", "c1", "eth1")).expect("second ADD");
    assert_eq!(bench.names(), ["c1", "c1:net:eth0", "c1:net:eth1"]);
    del(&red, &bench.request(Verb::Del, "")).expect("first DEL");
    del(&blue, &bench.of(Verb::Del, "", "c1", "eth1")).expect("second DEL");
    let calls = bench.calls();
    assert_eq!(calls[2..], ["bridge DEL c1 eth0", "ptp DEL c1 eth1"]);
    assert!(bench.kept().is_empty());
}

#[test]
fn a_failed_add_is_undone_and_leaves_no_file() {
    let bench = Bench::new();
    bench.fail("ADD", true);
    let error = add(&bench.settings("{}"), &bench.request(Verb::Add, "")).expect_err("ADD");
    assert_eq!((error.code, error.msg.as_str()), (Code::TryAgainLater, "busy"));
    assert_eq!(bench.calls(), ["bridge ADD c1 eth0", "bridge DEL c1 eth0"]);
    assert!(bench.kept().is_empty());
}

#[test]
fn what_cannot_be_undone_is_kept_for_del() {
    let bench = Bench::new();
    let settings = bench.settings("{}");
    bench.fail("ADD", true);
    bench.fail("DEL", true);
    let error = add(&settings, &bench.request(Verb::Add, "")).expect_err("ADD");
    assert_eq!(error.details, "left behind: busy");
    let error = del(&settings, &bench.request(Verb::Del, "")).expect_err("DEL");
    assert_eq!(error.msg, "busy");
    assert_eq!(bench.names(), ["c1", "c1:net:eth0"]);
    bench.fail("DEL", false);
    del(&settings, &bench.request(Verb::Del, "")).expect("DEL");
    assert!(bench.kept().is_empty());
}

#[test]
fn a_second_add_that_fails_takes_nothing_from_the_first() {
    let bench = Bench::new();
    add(&bench.settings("{}"), &bench.request(Verb::Add, "")).expect("ADD");
    let kept = bench.kept();
    bench.fail("ADD", true);
    let other = bench.settings(r#"{"type":"ptp"}"#);
    add(&other, &bench.request(Verb::Add, "")).expect_err("second ADD");
    assert_eq!(bench.calls(), ["bridge ADD c1 eth0", "ptp ADD c1 eth0"]);
    assert_eq!(bench.kept(), kept);
}

#[test]
fn a_container_of_the_reference_plugin_is_deleted_with_its_file() {
    let bench = Bench::new();
    bench.keep("c1", REFERENCE);
    let settings = bench.settings("{}");
    let elsewhere = bench.request(Verb::Del, r#""name":"other""#);
    del(&settings, &elsewhere).expect("DEL of another network");
    assert!(bench.calls().is_empty());
    bench.fail("DEL", true);
    del(&settings, &bench.request(Verb::Del, "")).expect_err("failing DEL");
    assert_eq!(bench.names(), ["c1"]);
    bench.fail("DEL", false);
    bench.calls();
    del(&settings, &bench.request(Verb::Del, "")).expect("DEL");
    assert_eq!(bench.calls(), ["ptp DEL c1 eth0"]);
    assert_eq!(bench.told("DEL").to_string(), REFERENCE);
    assert!(bench.kept().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_ends_with_del() {
    let bench = Bench::new();
    bench.keep("c1", r#"{"name":"#);
    del(&bench.settings("{}"), &bench.request(Verb::Del, "")).expect("DEL");
    assert!(bench.kept().is_empty() && bench.calls().is_empty());
}

#[test]
fn our_own_delegate_needs_no_process_and_no_file_to_del() {
    let bench = Bench::new();
    bench.own("host-local");
    let settings = bench.settings(r#"{"type":"host-local"}"#);
    let leases = bench.path("leases");
    let keys = format!(r#""ipam":{{"dataDir":{leases:?}}}"#);
    let result = add(&settings, &bench.request(Verb::Add, &keys)).expect("ADD");
    assert_eq!(result.ips[0].address.to_string(), "10.1.17.2/24");
    let reserved = || leases.join("net/10.1.17.2").exists();
    assert!(reserved());
    std::fs::remove_dir_all(bench.path("state")).expect("lose the state");
    std::fs::remove_file(bench.path("subnet.env")).expect("lose the subnet");
    del(&settings, &bench.request(Verb::Del, &keys)).expect("DEL");
    assert!(!reserved());
}

#[test]
fn check_is_the_delegates_with_the_result_in_its_version() {
    let bench = Bench::new();
    let settings = bench.settings("{}");
    let error = check(&settings, &bench.request(Verb::Check, "")).expect_err("before ADD");
    assert!(error.msg.contains("container c1 has no attachment \"eth0\""), "{error}");
    add(&settings, &bench.request(Verb::Add, r#""cniVersion":"0.4.0""#)).expect("ADD");
    let keys = r#""cniVersion":"1.1.0",
        "prevResult":{"cniVersion":"1.1.0","ips":[{"address":"10.1.17.2/24"}]}"#;
    check(&settings, &bench.request(Verb::Check, keys)).expect("CHECK");
    let told = bench.told("CHECK");
    let result = told.field("prevResult").expect("prevResult").to_string();
    assert!(result.contains(r#""cniVersion":"0.4.0""#), "{result}");
    assert!(result.contains(r#""version":"4""#), "{result}");
    bench.fail("CHECK", true);
    check(&settings, &bench.request(Verb::Check, keys)).expect_err("CHECK");
}

#[test]
fn gc_deletes_what_is_not_valid_and_asks_the_delegate() {
    let bench = Bench::new();
    let settings = bench.settings("{}");
    for (id, ifname) in [("valid", "eth0"), ("valid", "eth1"), ("gone", "eth0")] {
        add(&settings, &bench.of(Verb::Add, "", id, ifname)).expect("ADD");
    }
    add(&settings, &bench.of(Verb::Add, r#""name":"other""#, "gone", "eth1")).expect("ADD");
    bench.keep("old", REFERENCE);
    bench.keep(".dead:net:eth0.new", "{");
    bench.keep("foreign.txt", "");
    bench.calls();
    let keys = r#""cni.dev/valid-attachments":[{"containerID":"valid","ifname":"eth0"}]"#;
    gc(&settings, &bench.request(Verb::Gc, keys)).expect("GC");
    let calls = bench.calls();
    let deleted = ["bridge DEL gone eth0", "ptp DEL old eth0", "bridge DEL valid eth1"];
    assert_eq!(calls[..3], deleted);
    assert!(calls[3].starts_with("bridge GC"), "{calls:?}");
    let valid = bench.told("GC").field("cni.dev/valid-attachments").expect("the list").to_string();
    assert_eq!(valid, r#"[{"containerID":"valid","ifname":"eth0"}]"#);
    let names = ["foreign.txt", "gone:other:eth1", "valid", "valid:net:eth0"];
    assert_eq!(bench.names(), names);
}

#[test]
fn gc_tries_everything_and_tells_all_that_failed() {
    let bench = Bench::new();
    let settings = bench.settings("{}");
    for id in ["a", "b"] {
        add(&settings, &bench.of(Verb::Add, "", id, "eth0")).expect("ADD");
    }
    bench.fail("DEL", true);
    bench.calls();
    let error = gc(&settings, &bench.request(Verb::Gc, "")).expect_err("GC");
    assert_eq!(error.msg, "garbage collection of network \"net\": busy; busy");
    assert_eq!(bench.calls().len(), 3);
}

#[test]
fn status_is_50_until_there_is_a_subnet_and_a_delegate_for_it() {
    let bench = Bench::new();
    let settings = bench.settings("{}");
    let request = bench.request(Verb::Status, "");
    status(&settings, &request).expect("ready");
    assert!(bench.told("STATUS").to_string().contains("10.1.17.0/24"));
    bench.fail("STATUS", true);
    assert_eq!(status(&settings, &request).expect_err("the delegate's").msg, "busy");
    let absent = status(&bench.settings(r#"{"type":"absent"}"#), &request).expect_err("absent");
    assert_eq!(absent.code, Code::NotAvailable);
    std::fs::remove_file(bench.path("subnet.env")).expect("remove");
    let error = status(&settings, &request).expect_err("no subnet");
    assert_eq!(error.code, Code::NotAvailable);
    assert!(error.msg.contains("failed to load flannel 'subnet.env' file: open /"), "{error}");
}
