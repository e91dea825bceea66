//! Which of a container's networks leads out. Names begin with the id of the behaviour of Docker's that is
//! shown.

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::{Guest, apart};
use e2e::{Place as _, Proto, probe};
use serde_json::json;

use crate::attach::{WORLD, default_route, in_world, refusal, shows, together};

#[test]
fn b7_a_running_container_gets_another_network_and_the_one_of_higher_priority_leads_out()
-> Result<()> {
    in_world(|world| {
        let site = &world.site;
        for name in ["app", "back", "front"] {
            site.done(&["create", name])?;
        }
        let guest = Guest::new(&site.host, "one", "app", &json!({}))?;
        let db = Guest::new(&site.host, "db", "back", &json!({}))?;
        apart(&guest, db.at())?;
        let connect = |network: &str, priority: i32| {
            let more = json!({ "ifname": null, "live": true, "gwPriority": priority });
            attach(&guest.container, network, &more)
        };
        connect("back", 0)?;
        together(&guest, &db)?;
        let by = |name: &str| {
            let routes = default_route(&guest.container)?;
            ensure!(routes.lines().count() == 1 && routes.contains(name), "{name}: {routes}");
            probe::ask(&guest.container, Proto::Tcp, WORLD).map(drop)
        };
        by("dev eth0")?;
        let twice = refusal(connect("back", 0))?;
        ensure!(twice.contains("already attached to network back"), "{twice}");
        connect("front", 7)?;
        by("dev eth2")?;
        for (network, ifname) in [("app", "eth0"), ("back", "eth1"), ("front", "eth2")] {
            let missing = missing(&guest.container, network, ifname)?;
            ensure!(missing.is_empty(), "{network}: {missing:?}");
        }
        detach(&guest.container, "back")?;
        ensure!(!shows(&guest.container, &["-o", "link"])?.contains("eth1"));
        by("dev eth2")?;
        detach(&guest.container, "front")?;
        by("dev eth0")?;
        connect("front", 0)?;
        ensure!(shows(&guest.container, &["-o", "link"])?.contains("eth1"));
        by("dev eth0")
    })
}

#[test]
fn b7_the_default_route_of_somebody_else_stays_unless_the_priority_says_otherwise_and_comes_back()
-> Result<()> {
    in_world(|world| {
        let site = &world.site;
        site.done(&["create", "app"])?;
        let container = site.host.add_container("one")?;
        site.host.sh("ip link add theirs type veth peer name eth0 netns one
             ip addr add 10.77.0.1/24 dev theirs; ip link set theirs up
             ip -n one addr add 10.77.0.2/24 dev eth0; ip -n one link set eth0 up
             ip -n one route add default via 10.77.0.1")?;
        let routes = || default_route(&container);
        let theirs = routes()?;
        let connect = |priority: i32| {
            let more = json!({ "ifname": null, "live": true, "gwPriority": priority });
            attach(&container, "app", &more)
        };
        connect(0)?;
        assert_eq!(routes()?, theirs);
        detach(&container, "app")?;
        connect(1)?;
        ensure!(routes()?.contains("dev eth1"), "{}", routes()?);
        detach(&container, "app")?;
        assert_eq!(routes()?, theirs);
        site.done(&["create", "--subnet", "10.77.0.0/16", "same"])?;
        let more = json!({ "ifname": null, "live": true });
        let refused = refusal(attach(&container, "same", &more))?;
        ensure!(refused.contains("10.77.0.0/16") && refused.contains("10.77.0.2/24"), "{refused}");
        Ok(())
    })
}
