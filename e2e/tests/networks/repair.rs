//! Whatever somebody deletes or alters of what networks have on this host is right again while the agent
//! runs. Names begin with the id of the behaviour of Docker's that is shown.

mod damages;
pub(crate) mod state;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, missing};
use e2e::cut::{CALLS, Cut};
use e2e::damage::Damage;
use e2e::guest::{Guest, apart};
use e2e::{PATIENCE, Place as _, Proto, probe, require_programs, wait_until};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::attach::{WORLD, World, in_world, refusal, together};
use crate::life::ready;
use damages::{DAMAGES, NAMES, OTHERS};
use state::{state, until};

/// A host with containers on two networks, and with other programs' tables.
struct Scene<'w> {
    world: &'w mut World,
    web: Guest,
    one: Guest,
    stranger: Guest,
}

impl<'w> Scene<'w> {
    fn new(world: &'w mut World) -> Result<Self> {
        let site = &world.site;
        site.host.sh(OTHERS)?;
        let mtu = ["-o", "com.docker.network.driver.mtu=1400"];
        site.done(&[&["create", "--ipv6"], &mtu[..], &["app"]].concat())?;
        let apart = ["-o", "com.docker.network.bridge.enable_icc=false"];
        site.done(&[&["create", "--internal"], &apart[..], &["quiet"]].concat())?;
        site.done(&["create", "other"])?;
        let port =
            |protocol: &str| json!({ "hostPort": 8080, "containerPort": 80, "protocol": protocol });
        let ports = json!({ "ports": [port("tcp"), port("udp")], "names": ["web"] });
        let web = Guest::new(&site.host, "web", "app", &ports)?;
        let one = Guest::new(&site.host, "one", "app", &json!({}))?;
        attach(&one.container, "quiet", &json!({ "ifname": "eth1", "live": true }))?;
        let stranger = Guest::new(&site.host, "stranger", "other", &json!({}))?;
        Ok(Self { world, web, one, stranger })
    }

    /// What users have of it.
    fn works(&self) -> Result<()> {
        let World { internet, site, uplink } = &*self.world;
        probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 8080))?;
        probe::ask(&internet.host, Proto::Udp, (uplink.v4, 8080))?;
        let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
        probe::ask(&site.host, Proto::Tcp, (loopback, 8080))?;
        assert_eq!(probe::ask(&self.one.container, Proto::Tcp, WORLD)?.source.ip(), uplink.v4);
        Ok(())
    }

    /// The same, with what takes time to show: who does not reach whom, and names.
    fn works_in_all(&self) -> Result<()> {
        self.works()?;
        together(&self.one, &self.web)?;
        apart(&self.stranger, self.web.at())?;
        let gateway = self.world.site.gateway("app")?;
        self.one.container.run(&["busybox", "nslookup", "-type=a", "web", &gateway])?;
        assert_eq!(missing(&self.web.container, "app", "eth0")?, Vec::<String>::new());
        assert_eq!(missing(&self.one.container, "quiet", "eth1")?, Vec::<String>::new());
        Ok(())
    }

    /// The port alone, over TCP.
    fn works_again(&self) -> Result<()> {
        let World { internet, uplink, .. } = &*self.world;
        probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 8080)).map(drop)
    }

    fn damage(&self, damage: &Damage) -> Result<()> {
        let script = format!("{NAMES}\nothers() {{ {OTHERS} }}\n{}", damage.script);
        self.world.site.host.sh(&script).map(drop)
    }
}

#[test]
fn b11_whatever_is_deleted_or_altered_is_right_again_alone_and_together_and_others_tables_stay()
-> Result<()> {
    if !require_programs(&["jq"])? {
        return Ok(());
    }
    in_world(|world| {
        let scene = Scene::new(world)?;
        let (site, host) = (&scene.world.site, &scene.world.site.host);
        scene.works_in_all()?;
        let before = state(host)?;
        let mut table = "\n| Object | | ms, with the looks |\n|---|---|---|\n".to_owned();
        for damage in &DAMAGES {
            let at = || damage.to_string();
            // An agent that stands still shows that the damage is one.
            kill_process(site.pid()?, Signal::STOP)?;
            let done = scene.damage(damage);
            let damaged = state(host);
            kill_process(site.pid()?, Signal::CONT)?;
            let start = Instant::now();
            done.with_context(at)?;
            ensure!(damaged? != before, "{}: nothing is damaged", at());
            until(host, &before).with_context(at)?;
            let after_pause = start.elapsed().as_millis();
            scene.damage(damage).with_context(at)?;
            let start = Instant::now();
            until(host, &before).with_context(at)?;
            let times = [after_pause, start.elapsed().as_millis()];
            writeln!(table, "| {} | {} | {times:?} |", damage.kind, damage.what)?;
            scene.works().with_context(at)?;
        }
        std::io::stderr().write_all(table.as_bytes())?;
        scene.works_in_all()?;
        ensure!(ready(site)?.contains("200 OK"), "{}", ready(site)?);
        Ok(())
    })
}

#[test]
fn b11_an_administrators_rules_in_chain_user_stay_when_others_are_put_back() -> Result<()> {
    in_world(|world| {
        let scene = Scene::new(world)?;
        let host = &scene.world.site.host;
        host.sh("nft add rule inet netd user ip saddr 192.0.2.99 drop")?;
        let before = state(host)?;
        host.sh("nft flush chain inet netd forward; nft flush chain inet netd ports")?;
        until(host, &before)?;
        ensure!(before.iter().any(|object| object.contains("192.0.2.99")));
        Ok(())
    })
}

#[test]
fn b11_what_cannot_be_put_back_takes_readiness_away_until_it_is() -> Result<()> {
    in_world(|world| {
        let scene = Scene::new(world)?;
        let site = &scene.world.site;
        let before = state(&site.host)?;
        site.host.sh("nft -f - <<<'delete table inet netd
             add table inet netd { comment \"netd schema 99\"; }'")?;
        let is_not = || ready(site).is_ok_and(|said| said.contains("503"));
        wait_until("the agent is not ready", PATIENCE, is_not)?;
        ensure!(ready(site)?.contains("schema 99"), "{}", ready(site)?);
        site.host.sh("nft delete table inet netd")?;
        until(&site.host, &before)?;
        let is_ready = || ready(site).is_ok_and(|said| said.contains("200 OK"));
        wait_until("the agent is ready", PATIENCE, is_ready)?;
        scene.works()
    })
}

#[test]
fn an_interface_that_was_deleted_is_told_once_where_its_container_is_shown_and_checked()
-> Result<()> {
    in_world(|world| {
        let scene = Scene::new(world)?;
        let site = &scene.world.site;
        site.host.sh(&format!("{NAMES}\nip link del $web"))?;
        let trouble = || -> Result<String> {
            let shown = site.inspect("app")?;
            Ok(shown["Containers"]["web"]["Trouble"].as_str().unwrap_or_default().to_owned())
        };
        wait_until("it is shown", PATIENCE, || trouble().is_ok_and(|told| !told.is_empty()))?;
        let told = trouble()?;
        ensure!(told.contains("eth0") && told.contains("disconnect the container"), "{told}");
        let checked = refusal(missing(&scene.web.container, "app", "eth0"))?;
        ensure!(checked.contains("eth0 of container web was deleted"), "{checked}");
        // Whatever else happens.
        site.host.sh("nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0")?;
        wait_until("the others are served", PATIENCE, || {
            probe::ask(&scene.one.container, Proto::Tcp, WORLD).is_ok()
        })?;
        let log = site.log()?;
        assert_eq!(log.matches("has deleted a container's interface").count(), 1, "{log}");
        let port = json!({ "ports": [{ "hostPort": 8080, "containerPort": 80 }] });
        site.done(&["disconnect", "app", "web"])?;
        attach(&scene.web.container, "app", &port)?;
        scene.works_again()
    })
}

#[test]
fn b11_an_agent_that_is_killed_in_the_middle_of_a_repair_makes_it_right_at_the_next_start()
-> Result<()> {
    if !require_programs(&["strace", "jq"])? {
        return Ok(());
    }
    in_world(|world| {
        let scene = Scene::new(world)?;
        let before = state(&scene.world.site.host)?;
        let damage = DAMAGES.last().context("a damage")?;
        let mut cuts = 0;
        for nth in 1.. {
            let cut = Cut::at(scene.world.site.pid()?, CALLS, nth)?;
            scene.damage(damage)?;
            let mut lives = true;
            let site = &mut scene.world.site;
            wait_until("the agent is killed, or has done it", PATIENCE, || {
                lives = site.is_alive();
                !lives || state(&site.host).is_ok_and(|now| now == before)
            })?;
            // All may be right before its last call, and that may be the one. Who answers is past it.
            lives = lives && ready(site).is_ok() && site.is_alive();
            cut.end(lives)?;
            if lives && site.is_alive() {
                break;
            }
            cuts += 1;
            scene.world.site.kill();
            scene.world.site.resume()?;
            until(&scene.world.site.host, &before).with_context(|| format!("cut {nth}"))?;
        }
        ensure!(cuts > 3, "{cuts}");
        scene.works_in_all()
    })
}
