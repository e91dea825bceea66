//! Networks over time: restarts, kills, repair.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Lab, NETD, PATIENCE, Place as _, wait_until};
use rustix::process::Signal;

use crate::site::{Link, Site, run};

/// What the agent says of its readiness.
pub(crate) fn ready(site: &Site) -> Result<String> {
    let ask =
        "exec 3<>/dev/tcp/127.0.0.1/8081; printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    site.host.run(&["bash", "-c", ask]).map(|output| output.stdout)
}

#[test]
fn without_a_cluster_the_agent_is_ready_and_with_one_networks_do_not_wait_for_it() -> Result<()> {
    Lab::run(|lab| {
        let alone = Site::start(&lab.host("alone")?, &["--standalone"])?;
        let told = ready(&alone)?;
        ensure!(told.contains("200 OK") && told.contains("flanneld is ready"), "{told}");
        let status = alone.host.command(&[NETD, "status"]).output()?;
        ensure!(status.code == 0, "{status:?}");
        let nobody = ["--etcd-endpoints=http://127.0.0.1:1"];
        let mut waiting = Site::start(&lab.host("waiting")?, &nobody)?;
        let told = ready(&waiting)?;
        ensure!(told.contains("503") && !told.contains("flanneld is ready\n"), "{told}");
        waiting.done(&["create", "a"])?;
        assert_eq!(waiting.bridges()?, waiting.shown_bridges()?);
        waiting.stop()?;
        waiting.resume()?;
        assert_eq!(waiting.done(&["ls", "--format", "{{.Name}}"])?, "a\nbridge\nhost\nnone");
        Ok(())
    })
}

#[test]
fn networks_are_the_same_after_a_restart_and_bridges_stay() -> Result<()> {
    run(|site| {
        site.done(&["create", "--ipv6", "--label", "k=v", "a"])?;
        site.done(&["create", "--internal", "--subnet", "10.77.0.0/16", "b"])?;
        let all = ["inspect", "a", "b", "bridge", "host", "none"];
        let (shown, links) = (site.done(&all)?, site.links()?);
        site.stop()?;
        assert_eq!(site.links()?, links, "they outlive the agent");
        site.resume()?;
        assert_eq!(site.done(&all)?, shown);
        assert_eq!(site.links()?, links, "nothing was made anew");
        site.kill();
        // As after a boot.
        let names = site.bridges()?;
        for name in names.keys() {
            site.host.run(&["ip", "link", "del", name])?;
        }
        site.resume()?;
        assert_eq!(site.bridges()?, names);
        assert_eq!(site.done(&all)?, shown);
        Ok(())
    })
}

#[test]
fn what_somebody_deletes_or_alters_of_a_bridge_is_put_right() -> Result<()> {
    run(|site| {
        let id = site.done(&["create", "-o", "com.docker.network.driver.mtu=1400", "a"])?;
        let bridge = format!("br-{}", &id[..12]);
        let link = || -> Result<Option<Link>> {
            let links = site.links()?.into_iter();
            let links = links.map(|link| Link { index: 0, ..link });
            Ok(links.into_iter().find(|link| link.name == bridge))
        };
        let right = (link()?, site.bridges()?);
        for harm in [
            format!("ip link del {bridge}"),
            format!("ip addr flush dev {bridge}"),
            format!("ip addr add 10.99.0.1/24 dev {bridge}; ip link set {bridge} mtu 1300"),
            format!("ip link set {bridge} address 02:00:00:00:00:07"),
            format!("ip link set {bridge} down"),
            format!("ip link set {bridge} down; ip link set {bridge} name other"),
        ] {
            site.host.sh(&harm)?;
            wait_until(&format!("{harm}: put right"), PATIENCE, || {
                let now = link().and_then(|link| Ok((link, site.bridges()?)));
                now.is_ok_and(|(link, bridges)| {
                    link == right.0 && bridges.get(&bridge) == right.1.get(&bridge)
                })
            })?;
        }
        Ok(())
    })
}

#[test]
fn a_kill_at_any_moment_of_create_and_rm_leaves_networks_whole_or_not_at_all() -> Result<()> {
    run(|site| {
        for round in 0..12_u64 {
            let script = format!(
                "n=0; while {NETD} network create --ipv6 r{round}-$n && {{ [ $((n % 3)) = 0 ] || \
                 {NETD} network rm r{round}-$n; }}; do n=$((n+1)); done"
            );
            let mut busy = site.host.spawn("busy", &["bash", "-c", &script])?;
            let names = || site.done(&["ls", "--filter", &format!("name=^r{round}-"), "-q"]);
            wait_until("networks come and go", PATIENCE, || names().is_ok_and(|n| !n.is_empty()))?;
            // Another moment each time.
            let pause = Duration::from_micros(round * 3_700 % 40_000);
            let began = std::time::Instant::now();
            wait_until("the moment", PATIENCE, || began.elapsed() >= pause)?;
            site.kill();
            busy.wait(PATIENCE)?;
            site.resume()?;
            assert_eq!(site.bridges()?, site.shown_bridges()?, "round {round}");
        }
        site.done(&["prune", "--force"])?;
        ensure!(site.bridges()?.is_empty(), "{:?}", site.bridges()?);
        assert_eq!(site.done(&["ls", "--format", "{{.Name}}"])?, "bridge\nhost\nnone");
        Ok(())
    })
}

#[test]
fn a_damaged_file_of_networks_is_set_aside_and_bridges_stay() -> Result<()> {
    run(|site| {
        let id = site.done(&["create", "a"])?;
        site.kill();
        site.host
            .sh("dd if=/dev/urandom of=/var/lib/netd/networks.redb bs=4096 count=8 conv=notrunc")?;
        site.resume()?;
        assert_eq!(site.done(&["ls", "--format", "{{.Name}}"])?, "bridge\nhost\nnone");
        let bridge = format!("/sys/class/net/br-{}", &id[..12]);
        ensure!(site.host.path(&bridge).exists(), "the bridge is gone");
        ensure!(site.host.path("/var/lib/netd/networks.redb.damaged").exists(), "set aside");
        Ok(())
    })
}

#[test]
fn a_bridge_that_somebody_made_meanwhile_under_the_name_of_a_networks_is_left_alone() -> Result<()>
{
    run(|site| {
        site.done(&["create", "-o", "com.docker.network.bridge.name=app1", "a"])?;
        site.kill();
        site.host.sh(
            "ip link del app1; ip link add app1 type bridge; ip addr add 192.0.2.1/24 dev app1",
        )?;
        site.resume()?;
        let status = site.host.command(&[NETD, "status"]).output()?;
        let told = format!("{}{}", status.stdout, status.stderr);
        ensure!(told.contains("bridge app1 is somebody else's: rename or remove it"), "{told}");
        site.done(&["rm", "a"])?;
        assert_eq!(site.host.addresses("app1")?, ["192.0.2.1/24"]);
        Ok(())
    })
}

#[test]
fn asked_to_stop_it_ends_at_once() -> Result<()> {
    run(|site| {
        let mut agent = site
            .host
            .command(&[NETD, "run", "--standalone", "--state-dir=/run/b"])
            .args(["--run-dir=/run/b"])
            .spawn("second")?;
        agent.wait_for_log("ready, without a cluster", PATIENCE)?;
        agent.signal(Signal::TERM)?;
        assert_eq!(agent.wait(PATIENCE)?, 0);
        Ok(())
    })
}
