//! Environment variables and bytes on standard input.

use anyhow::Result;
use e2e::Lab;
use serde_json::json;

use crate::site::{Row, Site, bridge, row};

const PLUGINS: [&str; 9] = [
    "bridge",
    "macvlan",
    "portmap",
    "firewall",
    "loopback",
    "host-local",
    "static",
    "none",
    "host",
];

#[test]
fn environment_variables_that_are_wrong() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let good = bridge(json!({}));
        let call = |name, code, words| row(name, "bridge", &good, code, words);
        site.run(&[
            call(
                "all variables missing",
                4,
                &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "missing"],
            )
            .with(|cni| {
                cni.container_id.clear();
                cni.netns.clear();
                cni.ifname.clear();
                cni.environment.push(("CNI_PATH".to_owned(), String::new()));
            }),
            call("two variables missing", 4, &["[CNI_NETNS,CNI_IFNAME]"]).with(|cni| {
                cni.netns.clear();
                cni.ifname.clear();
            }),
            call("bad container id", 4, &["containerID", "a b"])
                .with(|cni| "a b".clone_into(&mut cni.container_id)),
            call("container id that is a path", 4, &["containerID", "../x"])
                .with(|cni| "../x".clone_into(&mut cni.container_id)),
            call(
                "interface name of 16 bytes",
                4,
                &["interface name is too long", "15", "abcdefghijklmnop"],
            )
            .with(|cni| "abcdefghijklmnop".clone_into(&mut cni.ifname)),
            call("interface name with a slash", 4, &["a/b"])
                .with(|cni| "a/b".clone_into(&mut cni.ifname)),
            call("unknown verb", 4, &["unknown CNI_COMMAND", "FROB"]).verb("FROB"),
            call("namespace that does not exist", 8, &["/run/netns/nowhere"])
                .with(|cni| "/run/netns/nowhere".clone_into(&mut cni.netns)),
            call("path that is no namespace", 8, &["/etc/hostname"])
                .with(|cni| "/etc/hostname".clone_into(&mut cni.netns)),
            call("the host's own namespace", 8, &["CNI_NETNS should not be the same"])
                .with(|cni| "/proc/self/ns/net".clone_into(&mut cni.netns)),
            call("CNI_ARGS that is no pair", 4, &["ARGS", "FOO"])
                .with(|cni| "FOO".clone_into(&mut cni.args)),
            call("CNI_ARGS of nobody", 4, &["unknown args", "FOO=1"])
                .with(|cni| "FOO=1".clone_into(&mut cni.args)),
        ])
    })
}

#[test]
fn bytes_on_standard_input_that_are_wrong() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let good = bridge(json!({}));
        let call = |name, code, words| row(name, "bridge", &good, code, words);
        let megabytes = || {
            let mut text = bridge(json!({"mtu": "x"})).to_string().into_bytes();
            text.extend(std::iter::repeat_n(b' ', 10 << 20));
            text
        };
        let wrong = br#"{"cniVersion": "1.1.0", "name": "net", "type": "bridge", "x": "#.to_vec();
        site.run(&[
            call("garbage", 6, &["error unmarshall network config"])
                .stdin(b"\x00\xff not json".to_vec()),
            call("nothing", 6, &["error unmarshall network config"]).stdin(Vec::new()),
            call("half an object", 6, &["error unmarshall network config"]).stdin(wrong),
            call("deep nesting", 6, &["error unmarshall network config"])
                .stdin("[".repeat(200_000).into_bytes()),
            call("10 MB", 6, &["mtu", "x"]).stdin(megabytes()),
            call("more than the limit", 6, &["more than 16777216 bytes"])
                .stdin(vec![b' '; (16 << 20) + 1]),
        ])
    })
}

#[test]
fn every_plugin_refuses_what_is_wrong_whatever_its_keys() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let rows: Vec<Row> = PLUGINS.iter().flat_map(|plugin| of_any(plugin)).collect();
        site.run(&rows)
    })
}

fn of_any(plugin: &'static str) -> Vec<Row> {
    let conf =
        |version: &str, name: &str| json!({"cniVersion": version, "name": name, "type": plugin});
    let good = conf("1.1.0", "net");
    let mut rows = vec![
        row(
            "unknown version",
            plugin,
            &conf("9.9.9", "net"),
            1,
            &["incompatible CNI versions", "9.9.9"],
        ),
        row("no name", plugin, &conf("1.1.0", ""), 7, &["missing network name"]),
        row("bad name", plugin, &conf("1.1.0", "a b"), 7, &["network name", "a b"]),
        row(
            "wrong type",
            plugin,
            &json!({"cniVersion": 1, "name": "net"}),
            6,
            &["cniVersion", "1"],
        ),
        row("garbage", plugin, &good, 6, &["error unmarshall network config"])
            .stdin(b"\x00\xff not json".to_vec()),
        row(
            "name of 16 bytes",
            plugin,
            &good,
            4,
            &["interface name is too long", "abcdefghijklmnop"],
        )
        .with(|cni| "abcdefghijklmnop".clone_into(&mut cni.ifname)),
        row("no container id", plugin, &good, 4, &["CNI_CONTAINERID", "missing"])
            .with(|cni| cni.container_id.clear()),
        row("unknown verb", plugin, &good, 4, &["unknown CNI_COMMAND", "FROB"]).verb("FROB"),
    ];
    if ["bridge", "macvlan", "loopback", "none"].contains(&plugin) {
        rows.push(
            row("no namespace", plugin, &good, 8, &["/run/netns/nowhere"])
                .with(|cni| "/run/netns/nowhere".clone_into(&mut cni.netns)),
        );
    }
    rows
}
