//! Networks with IPv6, beside IPv4 and alone. Names begin with the id of the behaviour of Docker's that is
//! shown.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use e2e::attach_socket::{detach, missing};
use e2e::guest::{Guest, PORT, heard};
use e2e::names::{Asker, NO_ERROR};
use e2e::{Place, Proto, probe};
use serde_json::json;

use crate::attach::{WORLD, WORLD_V6, World, default_route, in_world, shows};
use crate::ports::port;

/// The internet as hosts on its link see it.
const NEIGHBOUR: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1));
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCALHOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

#[test]
fn b3_by_ipv6_a_published_port_is_reached_from_everywhere_and_who_asks_from_outside_is_seen()
-> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "--ipv6", "app"])?;
        site.done(&["create", "--ipv6", "other"])?;
        let local = json!({ "hostIP": "::1", "hostPort": 8081, "containerPort": PORT });
        let ports = [port(8080, PORT, "tcp"), port(8080, PORT, "udp"), local];
        let web = Guest::new(&site.host, "web", "app", &json!({ "ports": ports }))?;
        let sibling = Guest::new(&site.host, "sibling", "app", &json!({}))?;
        let stranger = Guest::new(&site.host, "stranger", "other", &json!({}))?;
        let at = (uplink.v6, 8080);
        for proto in [Proto::Tcp, Proto::Udp] {
            assert_eq!(probe::ask(&internet.host, proto, at)?.source.ip(), NEIGHBOUR);
            probe::ask(&site.host, proto, (LOCALHOST_V6, 8080))?;
            probe::ask(&site.host, proto, at)?;
            for from in [&sibling, &web, &stranger] {
                probe::ask(&from.container, proto, at)?;
            }
        }
        let seen = probe::ask(&internet.host, Proto::Tcp, at)?;
        assert_eq!(seen.destination.ip(), web.v6()?);
        probe::ask(&site.host, Proto::Tcp, (LOCALHOST_V6, 8081))?;
        for from in [&internet.host as &dyn Place, &sibling.container] {
            ensure!(probe::refusal(from, Proto::Tcp, (uplink.v6, 8081))?.is_err());
        }
        Ok(())
    })
}

#[test]
fn a_network_without_ipv4_has_the_world_published_ports_and_names_by_ipv6() -> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "--ipv4=false", "--ipv6", "six"])?;
        assert_eq!(site.subnets("six")?.len(), 1);
        let ports = [port(8080, PORT, "tcp"), port(8080, PORT, "udp")];
        let more = json!({ "names": ["web"], "ports": ports });
        let web = Guest::new(&site.host, "web", "six", &more)?;
        let client = Asker::new(&site.host, "client", "six", &json!({ "names": ["client"] }))?;
        assert_eq!(web.everywhere()?, [(web.v6()?, PORT)]);
        assert_eq!(shows(&web.container, &["-4", "-o", "address", "show", "dev", "eth0"])?, "");
        assert_eq!(default_route(&web.container)?, "");
        assert_eq!(missing(&web.container, "six", "eth0")?, Vec::<String>::new());
        heard(&client.container, &[web.at()], [true; 3])?;
        heard(&web.container, &[WORLD], [false; 3])?;
        for proto in [Proto::Tcp, Proto::Udp] {
            assert_eq!(probe::ask(&web.container, proto, WORLD_V6)?.source.ip(), uplink.v6);
            assert_eq!(
                probe::ask(&internet.host, proto, (uplink.v6, 8080))?.source.ip(),
                NEIGHBOUR
            );
            // Who comes by IPv4 is carried over.
            probe::ask(&internet.host, proto, (uplink.v4, 8080))?;
            for localhost in [LOCALHOST, LOCALHOST_V6] {
                probe::ask(&site.host, proto, (localhost, 8080))?;
            }
        }
        let gateways: Vec<_> = site.subnets("six")?.into_iter().map(|(_, it)| it).collect();
        assert_eq!(client.servers(), gateways);
        assert_eq!(client.finds("web", true)?, BTreeSet::from([web.ip.to_string()]));
        assert_eq!(client.asks("web", false)?, (NO_ERROR, vec![]));
        assert_eq!(client.name_of(&web.ip.to_string())?.as_deref(), Some("web.six"));
        detach(&web.container, "six")?;
        ensure!(client.finds("web", true)?.is_empty(), "it is gone");
        Ok(())
    })
}
