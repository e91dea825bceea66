//! Random plans, run by the text of their operations on the real kernel: what is there in the end
//! must be what the simulated kernel says. This holds module `cascade` to Linux.
//!
//! Left out is what a kernel may have been built without: VLANs, and links other than bridges,
//! veths, macvlans and VXLAN tunnel ends. Needs root, as `commands` does.

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::prelude::*;

use super::commands::{PREPARE, may_make_namespaces, run, text};
use super::properties::scope_of;
use super::states::states;
use crate::{
    BridgePort, Desired, Link, LinkKind, LinkName, LinkRef, Mode, NetState, Ns, NsNames, Observed,
    Plan, State, Vxlan,
};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / 16,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn linux_does_what_the_simulation_does(a in states(), b in states()) {
        if may_make_namespaces() {
            let (mut a, b) = (plain(a), plain(b));
            // One command cannot upgrade a table.
            a.ns_mut(Ns::Host).tables.clear();
            a.ns_mut(Ns::Host).elements.clear();
            let create = Plan::create(&Desired(a.clone()));
            let scope = scope_of(&[&a, &b]);
            let between = Plan::between(&Observed(a), &Desired(b.clone()), &scope);
            let output = run(&script(&create, &between));
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            prop_assert!(output.status.success(), "{err}\n# a\n{create}\n# a to b\n{between}");
            prop_assert_eq!(parse(&out), render(&b), "# a\n{}\n# a to b\n{}", create, between);
        }
    }
}

pub(super) fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(128)
}

fn plain(mut state: State) -> State {
    let links: Vec<LinkRef> = state.links().map(|(at, _)| at).collect();
    for at in links {
        let space = state.ns_mut(at.ns);
        let Some(link) = space.links.get_mut(&at.name) else { continue };
        if matches!(link.kind, LinkKind::MacVlan { .. } | LinkKind::Vxlan(_)) {
            // It could not have the MTU of other ports.
            link.master = None;
        }
        let is_port = link.master.is_some();
        if let LinkKind::Other(_) | LinkKind::Bridge { .. } = link.kind {
            link.kind = LinkKind::Bridge { vlan_filtering: None };
            link.master = None;
        }
        // Linux keeps the MTU of a bridge that nobody set as small as that of its ports.
        if is_port || matches!(link.kind, LinkKind::Bridge { .. }) {
            link.mtu = Some(1500);
        }
        link.port = link.port.take().filter(|_| link.master.is_some());
        link.port = link.port.take().map(|port| BridgePort { vlans: None, ..port });
    }
    state
}

/// What is shared may be there already: the plan takes addresses for gone that may have stayed.
fn script(create: &Plan, between: &Plan) -> String {
    let names = NsNames { container: "/run/netns/box".to_owned(), ..NsNames::default() };
    let mut script = PREPARE.to_owned();
    for step in create.steps.iter().chain(&between.steps) {
        let command = step.command(&names);
        let pardon = match step.mode {
            Mode::Ensure | Mode::Replace => "grep -q 'exists\\|already assigned' /run/err",
            Mode::Fresh if step.op.is_removal() => "grep -q 'Address not found' /run/err",
            Mode::Fresh => "false",
        };
        let _ = write!(
            script,
            "{{\n{command}\n}} >/run/out 2>/run/err || {pardon} || fail $? <<'COMMAND'\n{command}\nCOMMAND\n"
        );
    }
    for (ns, flag) in [("Host", ""), ("Container", "-n box")] {
        let _ = write!(
            script,
            "echo {ns}; echo link; ip {flag} -o -d link show; echo addr; ip {flag} -o addr show
            echo route; ip {flag} route show; ip {flag} -6 route show
            echo neigh; ip {flag} neigh show nud permanent
            echo fdb; bridge {flag} fdb show | grep ' dst ' | grep -v '^00:00:00:00:00:00' || true
            "
        );
    }
    script
}

/// The state as lines of the same form as [`parse`] makes.
fn render(state: &State) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (ns, space) in state.iter() {
        let mut add = |line: String| lines.insert(format!("{ns:?} {line}"));
        for link in space.links.values().filter(|link| link.name != LinkName::lo()) {
            add(render_link(ns, link));
        }
        for addr in &space.addrs {
            add(format!("addr {} {}", addr.link, addr.net));
        }
        for neigh in &space.neighs {
            add(format!("neigh {} {} {}", neigh.ip, neigh.link, neigh.mac));
        }
        for entry in &space.fdb {
            add(format!("fdb {} {} {}", entry.mac, entry.link, entry.dst));
        }
        render_routes(space).for_each(|line| {
            add(line);
        });
    }
    lines
}

fn render_link(ns: &Ns, link: &Link) -> String {
    let Link { name, mtu, master, up, promisc, alias, mac, .. } = link;
    let master = master.as_ref().map(|m| m.as_str()).unwrap_or_default();
    let (mac, alias) = (mac.unwrap(), alias.as_deref().unwrap_or_default());
    let mut tunnel = String::new();
    if let LinkKind::Vxlan(Vxlan { id, local, parent, learning, gbp, proxy, .. }) = &link.kind {
        // Of a parent elsewhere `ip` shows the number it has there.
        let dev = parent.as_ref().filter(|at| at.ns == *ns).map(|at| at.name.as_str());
        tunnel = format!("{id} {} {dev:?} {learning} {gbp} {proxy}", local.unwrap());
    }
    format!("link {name} {} {mac} [{master}] {up} {promisc} {alias:?} {tunnel}", mtu.unwrap())
}

fn render_routes(space: &NetState) -> impl Iterator<Item = String> {
    space.routes.iter().map(|route| {
        let metric = route.metric.or(route.dst.is_ipv6().then_some(1024));
        let dev = route.dev.as_ref().unwrap();
        format!(
            "route {} {dev} {:?} {:?} {metric:?} {:?}",
            route.dst, route.via, route.src, route.mtu
        )
    })
}

/// What `ip` shows, less what the kernel makes by itself.
fn parse(out: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let (mut ns, mut what) = (Ns::Host, "");
    for line in out.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let parsed = match (words.as_slice(), what) {
            ([one], _) => {
                match *one {
                    "Host" => ns = Ns::Host,
                    "Container" => ns = Ns::Container,
                    other => {
                        what = ["link", "addr", "route", "neigh", "fdb"]
                            .into_iter()
                            .find(|known| *known == other)
                            .unwrap()
                    }
                }
                None
            }
            (words, "link") => parse_link(line, words),
            (words, "addr") => {
                let own = !words[3].starts_with("fe80:") && words[1] != "lo";
                own.then(|| format!("addr {} {}", words[1], words[3]))
            }
            (words, "route") => parse_route(line, words),
            (words, "fdb") => {
                let dst = after(words, "dst").unwrap();
                Some(format!("fdb {} {} {dst}", words[0], after(words, "dev").unwrap()))
            }
            (words, _) => Some(format!("neigh {} {} {}", words[0], words[2], words[4])),
        };
        lines.extend(parsed.map(|line| format!("{ns:?} {line}")));
    }
    lines
}

fn parse_link(line: &str, words: &[&str]) -> Option<String> {
    let name = words[1].trim_end_matches(':').split('@').next()?;
    if name == "lo" || name == "vx" {
        return None;
    }
    let flags: Vec<&str> = words[2].trim_matches(['<', '>']).split(',').collect();
    let has = |flag: &str| flags.contains(&flag);
    let (mtu, mac) = (after(words, "mtu")?, after(words, "link/ether")?);
    let master = after(words, "master").unwrap_or_default();
    let alias = line.split("alias ").nth(1).unwrap_or_default().trim();
    let (up, promisc) = (has("UP"), has("PROMISC"));
    let tunnel = parse_tunnel(words).unwrap_or_default();
    Some(format!("link {name} {mtu} {mac} [{master}] {up} {promisc} {alias:?} {tunnel}"))
}

fn parse_tunnel(words: &[&str]) -> Option<String> {
    let is_far = words.iter().any(|word| word.starts_with("link-netns"));
    let words = &words[words.iter().position(|word| *word == "vxlan")?..];
    let (id, local, dev) = (after(words, "id")?, after(words, "local")?, after(words, "dev"));
    let dev = dev.filter(|_| !is_far);
    let (learning, gbp) = (!words.contains(&"nolearning"), words.contains(&"gbp"));
    let proxy = words.contains(&"proxy");
    Some(format!("{id} {local} {dev:?} {learning} {gbp} {proxy}"))
}

fn parse_route(line: &str, words: &[&str]) -> Option<String> {
    if line.contains("proto kernel") || line.contains("proto ra") {
        return None;
    }
    let number = |key| after(words, key).map(|n| n.parse::<u32>().unwrap());
    let ip = |key| after(words, key).map(|ip| ip.parse::<std::net::IpAddr>().unwrap());
    let (via, src, metric, mtu) = (ip("via"), ip("src"), number("metric"), number("mtu"));
    Some(format!("route {} {} {via:?} {src:?} {metric:?} {mtu:?}", words[0], after(words, "dev")?))
}

fn after<'w>(words: &[&'w str], key: &str) -> Option<&'w str> {
    let place = words.iter().position(|word| *word == key)?;
    words.get(place + 1).copied()
}
