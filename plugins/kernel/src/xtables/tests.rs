use super::*;
use crate::testing::{in_new_host, sh};

/// The program of the family, and what it is asked about.
const FAMILIES: [(&str, bool); 2] = [("iptables-legacy", true), ("ip6tables-legacy", false)];

/// Runs a test for each family in a host of its own.
fn each(test: impl Fn(&str, bool) + Send + Sync) {
    for (program, ipv4) in FAMILIES {
        in_new_host(|| test(program, ipv4));
    }
}

fn names(ipv4: bool) -> String {
    let list = if ipv4 { "ip_tables_names" } else { "ip6_tables_names" };
    std::fs::read_to_string(format!("/proc/thread-self/net/{list}")).unwrap()
}

#[test]
fn without_a_table_nothing_drops_and_none_is_made() {
    each(|_, ipv4| {
        assert!(!legacy_forward_drops(ipv4).unwrap());
        assert_eq!(names(ipv4), "");
    });
}

#[test]
fn another_table_is_not_the_filter_table() {
    each(|program, ipv4| {
        sh(&format!("{program} -t nat -S"));
        assert_eq!(names(ipv4), "nat\n");
        assert!(!legacy_forward_drops(ipv4).unwrap());
        assert_eq!(names(ipv4), "nat\n");
    });
}

#[test]
fn the_policy_of_forward_counts_and_no_other() {
    each(|program, ipv4| {
        sh(&format!("{program} -S"));
        assert!(!legacy_forward_drops(ipv4).unwrap());
        sh(&format!("{program} -P INPUT DROP; {program} -P OUTPUT DROP"));
        assert!(!legacy_forward_drops(ipv4).unwrap());
        sh(&format!("{program} -P INPUT ACCEPT; {program} -P FORWARD DROP"));
        assert!(legacy_forward_drops(ipv4).unwrap());
        sh(&format!("{program} -P FORWARD ACCEPT"));
        assert!(!legacy_forward_drops(ipv4).unwrap());
    });
}

#[test]
fn the_policy_is_found_behind_rules_and_chains() {
    each(|program, ipv4| {
        sh(&format!(
            "{program} -N OTHER
             {program} -A OTHER -p tcp --dport 80 -m comment --comment x -j DROP
             {program} -A FORWARD -i lo -m conntrack --ctstate ESTABLISHED -j ACCEPT
             {program} -A FORWARD -j OTHER
             {program} -A FORWARD -j DROP
             {program} -A INPUT -p udp -j RETURN"
        ));
        assert!(!legacy_forward_drops(ipv4).unwrap(), "a rule is not the policy");
        sh(&format!("{program} -P FORWARD DROP"));
        assert!(legacy_forward_drops(ipv4).unwrap());
    });
}

#[test]
fn a_namespace_of_another_thread_is_not_looked_at() {
    in_new_host(|| {
        sh("iptables-legacy -P FORWARD DROP");
        in_new_host(|| assert!(!legacy_forward_drops(true).unwrap()));
        assert!(legacy_forward_drops(true).unwrap());
    });
}

#[test]
fn a_table_that_is_cut_short_is_an_error_and_no_panic() {
    in_new_host(|| {
        sh("iptables-legacy -P FORWARD DROP");
        let (info, entries) = table();
        assert_eq!(verdict(true, &info, &entries), Some(VERDICT_DROP));
        for length in 0..info.len() {
            let _ = verdict(true, &info[..length], &entries);
        }
        let underflow =
            usize::try_from(word(&info, INFO_UNDERFLOW + FORWARD * 4).unwrap()).unwrap();
        for length in 0..ENTRIES_HEAD + underflow + V4_TARGET_OFFSET {
            assert_eq!(verdict(true, &info, &entries[..length]), None);
        }
        let mut far = info.clone();
        far[INFO_UNDERFLOW + FORWARD * 4..][..4].fill(0xff);
        assert_eq!(verdict(true, &far, &entries), None);
    });
}

#[test]
fn a_filter_table_survives_any_input() {
    corpus::survive("xtables", |bytes| {
        // `INFO` bytes of information, and the entries behind.
        let (info, entries) = bytes.split_at(bytes.len().min(INFO));
        let _ = (verdict(true, info, entries), verdict(false, info, entries));
    });
}

fn table() -> (Vec<u8>, Vec<u8>) {
    let socket =
        socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
    let mut info = request(INFO, 0);
    get(&socket, libc::IPPROTO_IP, GET_INFO, &mut info).unwrap();
    let size = word(&info, INFO_SIZE).unwrap();
    let mut entries = request(ENTRIES_HEAD + usize::try_from(size).unwrap(), size);
    get(&socket, libc::IPPROTO_IP, GET_ENTRIES, &mut entries).unwrap();
    (info, entries)
}
