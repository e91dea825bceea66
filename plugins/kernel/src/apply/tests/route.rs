use netstate::{Datapath, Fdb, Mac, Mode, Neigh, Ns, Op, Route, RouteScope, Rule, Scope};

use super::{addr, applied, at, changed, failure, name, plan, up};
use crate::testing::{in_new_host, sh};
use crate::{Kernel, Kind};

fn host_with_link() {
    sh("ip link add e0 type veth peer name e1; ip link set e0 up; ip link set e1 up");
    sh("ip addr add 10.0.0.2/24 dev e0; ip addr add fd00::2/64 dev e0 nodad");
}

fn add(route: Route) -> (Ns, Mode, Op) {
    (Ns::Host, Mode::Ensure, Op::AddRoute(route))
}

/// What two networks of one container come to.
#[test]
fn ipv6_routes_that_the_kernel_has_made_one_are_seen_on_each_link() {
    in_new_host(|| {
        host_with_link();
        sh("ip addr add fd01::2/64 dev e1 nodad");
        let by = |link: &str, via: &str| Route {
            via: Some(via.parse().unwrap()),
            ..Route::new("::/0".parse().unwrap(), name(link))
        };
        let routes = [by("e0", "fd00::1"), by("e1", "fd01::1")];
        let mut kernel = Kernel::open(None);
        applied(
            &mut kernel,
            &plan(routes.clone().map(|r| (Ns::Host, Mode::Fresh, Op::AddRoute(r)))),
        );
        assert!(sh("ip -6 route").contains("nexthop via fd00::1"), "one route of two");
        for route in routes {
            let mut scope = Scope { routes: true, ..Scope::default() };
            scope.links.insert(at(Ns::Host, route.dev.as_ref().unwrap().as_str()));
            let seen = kernel.observe(&scope).unwrap();
            assert!(seen.0.ns(&Ns::Host).unwrap().routes.contains(&route), "{route:?}");
        }
    });
}

#[test]
fn routes_have_all_their_parts() {
    in_new_host(|| {
        host_with_link();
        let base = |dst: &str| Route::new(dst.parse().unwrap(), name("e0"));
        let via = |ip: &str| Some(ip.parse().unwrap());
        let routes = [
            Route { via: via("10.0.0.1"), metric: Some(50), ..base("0.0.0.0/0") },
            Route { via: via("fd00::1"), metric: Some(50), ..base("::/0") },
            Route { scope: RouteScope::Link, src: via("10.0.0.2"), ..base("10.5.0.0/16") },
            Route {
                mtu: Some(1400),
                advmss: Some(1300),
                via: via("10.0.0.1"),
                ..base("10.6.0.0/16")
            },
            Route { table: 5000, protocol: 17, via: via("10.0.0.1"), ..base("10.7.0.0/16") },
            Route { onlink: true, via: via("192.0.2.1"), ..base("10.8.0.0/16") },
            Route { mtu: Some(1400), via: via("fd00::1"), ..base("fd01::/64") },
        ];
        let mut kernel = Kernel::open(None);
        let all = plan(routes.clone().map(add));
        let report = applied(&mut kernel, &all);
        assert_eq!(changed(&report), [true; 7]);
        assert_eq!(changed(&applied(&mut kernel, &all)), [false; 7]);
        let text = sh("ip route; ip route show table 5000; ip -6 route");
        for part in [
            "default via 10.0.0.1 dev e0 proto static metric 50",
            "10.5.0.0/16 dev e0 proto static scope link src 10.0.0.2",
            "10.6.0.0/16 via 10.0.0.1 dev e0 proto static mtu 1400 advmss 1300",
            "10.7.0.0/16 via 10.0.0.1 dev e0 proto 17",
            "10.8.0.0/16 via 192.0.2.1 dev e0 proto static onlink",
            "fd01::/64 via fd00::1 dev e0 proto static metric 1024 mtu 1400",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let mut scope = Scope { routes: true, route_protocol: Some(17), ..Scope::default() };
        scope.links.insert(at(Ns::Host, "e0"));
        let seen = kernel.observe(&scope).unwrap();
        let seen: Vec<Route> = seen.0.ns(&Ns::Host).unwrap().routes.iter().cloned().collect();
        let mut wanted = routes.to_vec();
        wanted.sort();
        assert_eq!(seen, wanted);
        scope.links.clear();
        let seen = kernel.observe(&scope).unwrap();
        assert_eq!(seen.0.ns(&Ns::Host).unwrap().routes.iter().collect::<Vec<_>>(), [&routes[4]]);
        applied(&mut kernel, &report.undo());
        assert!(!sh("ip route").contains("static"));
    });
}

#[test]
fn a_route_that_leads_elsewhere_is_an_error_that_names_both() {
    in_new_host(|| {
        host_with_link();
        sh("ip route add 10.9.0.0/16 via 10.0.0.9");
        let route = super::route("e0", "10.9.0.0/16", "10.0.0.1");
        let error = failure(Kernel::open(None).apply(&plan([(Ns::Host, Mode::Ensure, route)])));
        assert_eq!(error.kind(), Kind::Exists);
        let text = error.to_string();
        assert!(text.contains("there is already 10.9.0.0/16 via 10.0.0.9 dev e0"), "{text}");
    });
}

#[test]
fn a_route_of_nobody_s_that_drops_gives_way_to_one_that_replaces_it() {
    in_new_host(|| {
        host_with_link();
        for (ip, dst, via) in
            [("ip -4", "10.9.0.0/16", "10.0.0.1"), ("ip -6", "fd09::/64", "fd00::1")]
        {
            let lead = Route {
                via: Some(via.parse().unwrap()),
                ..Route::new(dst.parse().unwrap(), name("e0"))
            };
            let blackhole = Route::blackhole(dst.parse().unwrap());
            for wanted in [lead, blackhole] {
                for kind in ["blackhole", "unreachable", "prohibit"] {
                    sh(&format!("{ip} route replace {kind} {dst}"));
                    let op = Op::AddRoute(wanted.clone());
                    let command = plan([(Ns::Host, Mode::Replace, op)]);
                    applied(&mut Kernel::open(None), &command);
                    let there = sh(&format!("{ip} route show {dst}"));
                    let word = wanted.kind.word().unwrap_or(dst);
                    assert!(there.starts_with(word), "{kind} to {command:?}: {there}");
                    sh(&format!("{ip} route flush exact {dst}"));
                }
            }
        }
    });
}

/// The gateway of a peer's route is an address of the peer's own subnet.
#[test]
fn a_route_of_nobody_s_that_leads_the_gateway_of_another_away_gives_way_to_it() {
    in_new_host(|| {
        host_with_link();
        for (ip, dst, via) in
            [("ip -4", "10.9.0.0/16", "10.9.0.0"), ("ip -6", "fd09::/64", "fd09::")]
        {
            sh(&format!("{ip} route add {dst} dev e1"));
            let wanted = Route {
                via: Some(via.parse().unwrap()),
                onlink: true,
                ..Route::new(dst.parse().unwrap(), name("e0"))
            };
            let command = plan([(Ns::Host, Mode::Replace, Op::AddRoute(wanted))]);
            applied(&mut Kernel::open(None), &command);
            let there = sh(&format!("{ip} route show {dst}"));
            assert!(there.contains("dev e0") && !there.contains("dev e1"), "{there}");
        }
    });
}

#[test]
fn the_kernels_own_words_are_in_the_error() {
    in_new_host(|| {
        host_with_link();
        let steps = [
            (Ns::Host, Mode::Fresh, addr("e0", "10.1.0.1/24")),
            (Ns::Host, Mode::Fresh, super::route("e0", "10.9.0.0/16", "192.0.2.1")),
            (Ns::Host, Mode::Fresh, addr("e0", "10.2.0.1/24")),
        ];
        let mut kernel = Kernel::open(None);
        let before = sh("ip addr");
        let report = kernel.apply(&plan(steps));
        // A batch is not atomic: what came after was done, and is said to be.
        assert_eq!(changed(&report), [true, true]);
        applied(&mut kernel, &report.undo());
        assert_eq!(sh("ip addr"), before);
        let error = failure(report);
        let text = error.to_string();
        assert!(text.starts_with("ip route add 10.9.0.0/16 via 192.0.2.1 dev e0"), "{text}");
        assert!(text.ends_with(": Nexthop has invalid gateway"), "{text}");
        assert_eq!(error.errno(), Some(101));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("Network is unreachable") && !text.contains("unreachable"));
    });
}

#[test]
fn a_step_for_a_link_that_is_not_there_names_it() {
    in_new_host(|| {
        let report =
            Kernel::open(None).apply(&plan([(Ns::Host, Mode::Fresh, addr("e9", "10.0.0.1/8"))]));
        let error = failure(report);
        assert_eq!(error.kind(), Kind::NoDevice);
        assert!(error.to_string().ends_with("there is no link e9"), "{error}");
        let report = Kernel::open(None).apply(&plan([(Ns::Host, Mode::Fresh, up("e9"))]));
        assert_eq!(failure(report).kind(), Kind::NoDevice);
    });
}

#[test]
fn the_way_of_packets_is_told() {
    in_new_host(|| {
        host_with_link();
        let mut kernel = Kernel::open(None);
        assert_eq!(kernel.default_route_link(&Ns::Host, false).unwrap(), None);
        assert_eq!(kernel.route_get(&Ns::Host, "192.0.2.1".parse().unwrap()).unwrap(), None);
        sh(
            "ip route add default via 10.0.0.1 dev e0 metric 9; ip route add default dev e1 metric 20",
        );
        sh("ip -6 route add default via fd00::1 dev e0");
        assert_eq!(kernel.default_route_link(&Ns::Host, false).unwrap(), Some(name("e0")));
        assert_eq!(kernel.default_route_link(&Ns::Host, true).unwrap(), Some(name("e0")));
        for ip in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(kernel.route_get(&Ns::Host, ip.parse().unwrap()).unwrap(), Some(name("e0")));
        }
        let of = kernel.addrs_of(&Ns::Host, &name("e1")).unwrap();
        assert!(of.is_empty(), "the link-local address is the kernel's own: {of:?}");
    });
}

#[test]
fn neighbours_forwarding_entries_and_rules_come_and_go() {
    in_new_host(|| {
        host_with_link();
        sh("ip link add vx0 type vxlan id 7 dev e0 dstport 8472 nolearning; ip link set vx0 up");
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        let fdb =
            |mac, dst: &str| Op::AddFdb(Fdb { link: name("vx0"), mac, dst: dst.parse().unwrap() });
        let neigh = |ip: &str, last| {
            Op::AddNeigh(Neigh { link: name("vx0"), ip: ip.parse().unwrap(), mac: mac(last) })
        };
        let rule = |from: &str| {
            let from = Some(from.parse().unwrap());
            Op::AddRule(Rule { priority: 77, from, to: None, table: 5000 })
        };
        let ops = [
            fdb(mac(1), "10.0.0.9"),
            fdb(Mac([0; 6]), "10.0.0.8"),
            fdb(Mac([0; 6]), "10.0.0.9"),
            neigh("10.3.0.1", 1),
            neigh("fd03::1", 2),
            rule("10.3.0.0/16"),
            rule("fd03::/16"),
        ];
        let all = plan(ops.clone().map(|op| (Ns::Host, Mode::Ensure, op)));
        let mut kernel = Kernel::open(None);
        let before =
            sh("bridge fdb show dev vx0; ip neigh show nud permanent; ip rule; ip -6 rule");
        let report = applied(&mut kernel, &all);
        applied(&mut kernel, &all);
        let text = sh("bridge fdb show dev vx0; ip neigh show nud permanent; ip rule; ip -6 rule");
        for part in [
            "02:00:00:00:00:01 dst 10.0.0.9 self permanent",
            "00:00:00:00:00:00 dst 10.0.0.8 self permanent",
            "10.3.0.1 dev vx0 lladdr 02:00:00:00:00:01 PERMANENT",
            "77:\tfrom 10.3.0.0/16 lookup 5000",
            "77:\tfrom fd03::/16 lookup 5000",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let mut scope = Scope { neighbours: true, ..Scope::default() };
        scope.links.insert(at(Ns::Host, "vx0"));
        scope.rule_tables.insert((Ns::Host, 5000));
        let seen = kernel.observe(&scope).unwrap();
        let seen = seen.0.ns(&Ns::Host).unwrap();
        for op in &ops {
            if let Op::AddFdb(fdb) = op {
                assert!(seen.fdb.contains(fdb), "{fdb:?} in {:?}", seen.fdb);
            } else if let Op::AddNeigh(neigh) = op {
                assert!(seen.neighs.contains(neigh), "{neigh:?}");
            } else if let Op::AddRule(rule) = op {
                assert!(seen.rules.contains(rule), "{rule:?} in {:?}", seen.rules);
            }
        }
        assert_eq!((seen.fdb.len(), seen.neighs.len(), seen.rules.len()), (3, 2, 2));
        let rival = (Ns::Host, Mode::Ensure, neigh("10.3.0.1", 9));
        let error = failure(kernel.apply(&plan([rival])));
        assert!(error.to_string().ends_with("there is already 02:00:00:00:00:01"), "{error}");
        applied(&mut kernel, &report.undo());
        assert_eq!(
            sh("bridge fdb show dev vx0; ip neigh show nud permanent; ip rule; ip -6 rule"),
            before
        );
    });
}
