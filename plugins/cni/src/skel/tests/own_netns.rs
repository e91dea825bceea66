//! CNI_NETNS that is the plugin's own namespace.

use super::*;

const OWN_NETNS: &str = "/proc/self/ns/net";
const SAME: &str = "plugin's netns and netns from CNI_NETNS should not be the same";

#[test]
fn add_into_the_plugins_own_netns_is_refused_before_anything_is_made() {
    let plugin = Recorder::new();
    let error = call(&plugin, &env("ADD").with("CNI_NETNS", OWN_NETNS), &conf("1.0.0")).error();
    assert_eq!((error.code, error.msg.as_str()), (Code::InvalidNetns, SAME));
    assert_eq!(plugin.verbs(), []);
}

#[test]
fn del_in_the_plugins_own_netns_does_not_touch_it() {
    let plugin = Recorder::new();
    let error = call(&plugin, &env("DEL").with("CNI_NETNS", OWN_NETNS), &conf("1.0.0")).error();
    assert_eq!((error.code, error.msg.as_str()), (Code::InvalidNetns, SAME));
    assert_eq!(plugin.calls.borrow()[0].netns, None);
}

#[test]
fn the_netns_override_is_honoured_and_check_does_not_compare() {
    for (verb, value, status) in [
        ("ADD", "1", 0),
        ("ADD", "TRUE", 0),
        ("ADD", "True", 0),
        ("DEL", "true", 0),
        ("ADD", "yes", 1),
        ("CHECK", "", 0),
    ] {
        let env = env(verb).with("CNI_NETNS", OWN_NETNS).with("CNI_NETNS_OVERRIDE", value);
        assert_eq!(call(&Recorder::new(), &env, &conf("1.0.0")).status, status, "{verb} {value}");
    }
}

#[test]
fn the_plugin_host_alone_may_have_no_netns_or_the_hosts() {
    let mut plugin = Recorder::new();
    plugin.info.netns = NetnsRule::HostAllowed;
    for netns in ["", OWN_NETNS] {
        for verb in ["ADD", "CHECK", "DEL"] {
            let env = env(verb).with("CNI_NETNS", netns);
            assert_eq!(call(&plugin, &env, &conf("1.0.0")).status, 0, "{verb} {netns}");
        }
    }
    let env = env("ADD").with("CNI_CONTAINERID", "");
    let error = call(&plugin, &env, &conf("1.0.0")).error();
    assert_eq!(error.msg, "required env variables [CNI_CONTAINERID] missing");
}
