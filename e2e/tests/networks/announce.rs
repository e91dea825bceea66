//! Containers' addresses are announced to their neighbours, as often as the network says.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::guest::Guest;
use e2e::{Capture, Packet, Place as _, probe};
use serde_json::json;

use crate::attach::shows;
use crate::site::{Site, run};

const COUNT: &str = "com.docker.network.advertise_addr_nmsgs";
const PAUSE: &str = "com.docker.network.advertise_addr_ms";

/// What announcements, and questions for addresses, are among.
const FILTER: &str = "arp or icmp6";

/// When a container's address was announced: an ARP request of it for itself, or an advertisement of it to all.
fn announcements(packets: &[Packet], ip: IpAddr) -> Vec<Duration> {
    let arp = [format!("Request who-has {ip} tell {ip},"), format!("Announcement {ip},")];
    let advertisement = format!("IP6 {ip} > ff02::1: ICMP6, neighbor advertisement, tgt is {ip},");
    let is_one = |text: &str| {
        arp.iter().any(|arp| text.contains(arp.as_str())) || text.starts_with(&advertisement)
    };
    packets.iter().filter(|packet| is_one(&packet.text)).map(|packet| packet.at).collect()
}

/// Makes a network of both families that announces so often; with a container that hears its neighbours.
fn network(site: &Site, name: &str, words: &[&str], options: &[&str]) -> Result<Guest> {
    let options = options.iter().flat_map(|option| ["-o", option]);
    let options: Vec<&str> = words.iter().copied().chain(options).collect();
    site.done(&[&["create", "--ipv6"], &options[..], &[name]].concat())?;
    Guest::new(&site.host, &format!("{name}-hears"), name, &json!({}))
}

/// The announcements of each of a guest's addresses, when all of a later one have come: what is more of the first
/// would have come before.
fn heard_of(
    site: &Site,
    hears: &Guest,
    name: &str,
    count: usize,
) -> Result<(Vec<[Vec<Duration>; 2]>, Guest)> {
    let capture = Capture::start(&hears.container, "eth0", FILTER)?;
    let guest = |who: &str| Guest::new(&site.host, &format!("{name}-{who}"), name, &json!({}));
    let of = |packets: &[Packet], one: &Guest| -> Result<[Vec<Duration>; 2]> {
        Ok([announcements(packets, one.ip), announcements(packets, one.v6()?)])
    };
    let has_all = |packets: &[Packet], one: &Guest| {
        of(packets, one).is_ok_and(|all| all.iter().all(|times| times.len() >= count))
    };
    let first = guest("first")?;
    capture.wait_for("its announcements", |packets| has_all(packets, &first))?;
    let second = guest("second")?;
    capture.wait_for("those of another", |packets| has_all(packets, &second))?;
    // What comes after everything that was on its way.
    ensure!(probe::pings(&first.container, hears.v6()?)?, "ping");
    let asked = |packets: &[Packet]| packets.iter().any(|one| one.text.contains("echo request"));
    let packets = capture.stop_when("a ping", asked)?;
    Ok((vec![of(&packets, &first)?, of(&packets, &second)?], first))
}

#[test]
fn addresses_are_announced_as_often_as_the_network_says_and_not_sooner() -> Result<()> {
    run(|site| {
        site.host.sh("ip link add lan0 up type veth peer name far; ip link set far up")?;
        let macvlan = ["-d", "macvlan", "-o", "parent=lan0"];
        let macvlan =
            [&macvlan[..], &["--subnet", "10.7.0.0/24", "--subnet", "fd07::/64"]].concat();
        let pause = |ms: u64| (format!("{PAUSE}={ms}"), Duration::from_millis(ms));
        for (name, words, count, (option, pause)) in [
            ("plain", &[][..], None, pause(1000)),
            ("quick", &[], None, pause(100)),
            ("twice", &[], Some(2), pause(300)),
            ("once", &[], Some(1), pause(100)),
            ("never", &[], Some(0), pause(100)),
            ("lan", &macvlan, Some(2), pause(200)),
        ] {
            let number = count.map(|count| format!("{COUNT}={count}"));
            // Docker's own pause is not said.
            let said = Some(&option).filter(|_| name != "plain");
            let options: Vec<&str> = number.iter().chain(said).map(String::as_str).collect();
            let hears = network(site, name, words, &options)?;
            let count = count.unwrap_or(3);
            let (all, guest) = heard_of(site, &hears, name, count)?;
            for times in all.iter().flatten() {
                assert_eq!(times.len(), count, "{name}: {all:?}");
                let pauses = times.iter().zip(times.iter().skip(1)).map(|(one, next)| *next - *one);
                ensure!(pauses.clone().all(|it| it >= pause), "{name}: {all:?}");
            }
            let notify = "cat /proc/sys/net/ipv4/conf/eth0/arp_notify";
            assert_eq!(
                guest.container.run(&["sh", "-c", notify])?.stdout,
                "0\n",
                "not by the kernel"
            );
        }
        Ok(())
    })
}

#[test]
fn who_gets_the_address_of_one_that_went_is_reached_at_once() -> Result<()> {
    run(|site| {
        let asks = network(site, "app", &[], &[])?;
        let mute = network(site, "mute", &[], &[&format!("{COUNT}=0")])?;
        for (name, asks, is_told) in [("app", &asks, true), ("mute", &mute, false)] {
            let subnets = site.subnets(name)?;
            let net = |at: usize| Some(subnets.get(at)?.0.split_once('/')?.0.to_owned());
            let (v4, v6) = (net(0).unwrap_or_default(), net(1).unwrap_or_default());
            let ips = [format!("{}9", v4.trim_end_matches('0')), format!("{v6}9")];
            let mut before = None;
            for at in 0..3 {
                let more = json!({ "ips": ips, "mac": format!("02:00:00:00:00:0{at}") });
                let capture = Capture::start(&asks.container, "eth0", FILTER)?;
                let guest = Guest::new(&site.host, &format!("{name}{at}"), name, &more)?;
                assert_eq!(guest.ip.to_string(), ips[0]);
                let now = neighbours(asks, &ips)?;
                let is_new = |mac: &String| mac.ends_with(&format!("0{at}"));
                match before {
                    // Nobody has asked for it.
                    None => {}
                    Some(_) if is_told => ensure!(now.iter().all(is_new), "{at}: {now:?}"),
                    Some(before) => assert_eq!(now, before, "nobody was told"),
                }
                if is_told || at == 0 {
                    for ip in [guest.ip, guest.v6()?] {
                        probe::ping(&asks.container, ip)?;
                        probe::ping(&site.host, ip)?;
                    }
                }
                // While no carrier has changed for a second, the kernel is quick to take a port off that has none
                // yet: what is announced then is not heard.
                let all = |packets: &[Packet]| announcements(packets, guest.ip).len() == 3;
                capture.wait_for("all announcements", |packets| !is_told || all(packets))?;
                before = Some(neighbours(asks, &ips)?);
                assert_eq!(before.as_ref().map(Vec::len), Some(2), "{before:?}");
                detach(&guest.container, name)?;
                guest.container.remove()?;
            }
        }
        Ok(())
    })
}

/// The link-layer addresses that a guest knows these by.
fn neighbours(asks: &Guest, ips: &[String]) -> Result<Vec<String>> {
    let shown = shows(&asks.container, &["neigh", "show", "dev", "eth0"])?;
    let line = |ip: &String| shown.lines().find(|line| line.starts_with(&format!("{ip} lladdr ")));
    let mac = |ip: &String| line(ip)?.split_whitespace().nth(2).map(str::to_owned);
    Ok(ips.iter().filter_map(mac).collect())
}

#[test]
fn nothing_is_announced_of_a_container_that_went_nor_by_another_run_of_the_agent() -> Result<()> {
    run(|site| {
        let hears = network(site, "app", &[], &[&format!("{PAUSE}=2000")])?;
        let capture = Capture::start(&hears.container, "eth0", FILTER)?;
        let gone = Guest::new(&site.host, "gone", "app", &json!({}))?;
        detach(&gone.container, "app")?;
        let stays = Guest::new(&site.host, "stays", "app", &json!({}))?;
        assert_eq!(stays.ip, gone.ip, "the lowest that is free");
        site.kill();
        // What comes after all that was on its way.
        ensure!(probe::pings(&stays.container, hears.v6()?)?, "ping");
        let asked = |packets: &[Packet]| packets.iter().any(|it| it.text.contains("echo request"));
        capture.wait_for("a ping", asked)?;
        let before = announcements(&capture.packets(), stays.ip).len();
        ensure!(before >= 2, "one of each, at least: {before}");
        site.resume()?;
        let later = site.host.add_container("later")?;
        let ip = e2e::address(&attach(&later, "app", &json!({}))?, 0)?;
        let packets = capture.stop_when("all of one that came later", |packets| {
            announcements(packets, ip).len() == 3
        })?;
        assert_eq!(announcements(&packets, stays.ip).len(), before);
        Ok(())
    })
}
