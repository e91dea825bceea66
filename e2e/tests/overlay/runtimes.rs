//! One overlay, used by Podman, by ctr and by hand on two hosts.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::names::Asker;
use e2e::runtimes::{Containerd, Podman};
use e2e::{NETD, PATIENCE, Place as _, PluginSet, Proto, image, probe, wait_until};
use serde_json::json;

use crate::site::{Site, run};

const SLEEP: [&str; 2] = ["/bin/sleep", "1000"];

/// What a container has on the network, by what `inspect` shows on a host.
fn address(site: &Site, host: usize, name: &str) -> Result<IpAddr> {
    let shown = site.inspect(host, "ov")?;
    let all = shown["Containers"].as_object().context("containers")?;
    let one = all.values().find(|one| {
        one["Name"].as_str().is_some_and(|it| it == name || it.ends_with(&format!("-{name}")))
    });
    let one = one.with_context(|| format!("{name} in {shown}"))?;
    let net = one["IPv4Address"].as_str().unwrap_or_default();
    Ok(net.split('/').next().unwrap_or_default().parse()?)
}

#[test]
fn an_overlay_is_used_by_podman_and_ctr_on_two_hosts_with_names_ports_and_nothing_left()
-> Result<()> {
    run(2, |site| {
        let [one, other] = [site.host(0)?.clone(), site.host(1)?.clone()];
        let named = ["create", "-d", "overlay", "--publish-cni", "ov"];
        site.done(0, &named)?;
        site.wait_shown(1, "ov")?;
        for host in [&one, &other] {
            PluginSet::selected()?.install(host)?;
        }
        // Asks the overlay's gateway: the resolv.conf of those whose runtime writes none.
        let asker = Asker::new(&other, "asker", "ov", &json!({}))?;
        let podman = Podman::new(&one)?;
        podman.reserve_no_ports()?;
        podman.start(
            "web",
            &["--network", "ov", "-p", "8080:80", "--network-alias", "api", "--cap-add", "NET_RAW"],
        )?;
        let containerd = Containerd::start(&other)?;
        let list = other.read("/run/netd/net.d/ov.conflist")?;
        other.write_file("/etc/cni/net.d/10-ov.conflist", list)?;
        let resolver =
            "--mount=type=bind,src=/run/asker.resolv,dst=/etc/resolv.conf,options=rbind:ro";
        let cgroup = format!("--cgroup=/{}/job", other.cgroup());
        let words = ["run", "--cni", &cgroup, "--detach", resolver, image::IMAGE, "job"];
        containerd.ctr(&words).args(SLEEP).run()?;

        let web = address(site, 1, "web")?;
        let job = address(site, 0, "job")?;
        let in_job = |words: &[&str]| {
            let exec = ["tasks", "exec", "--exec-id", "x", "job"];
            containerd.ctr(&exec).args(words).output()
        };
        // Podman gives the gateway to the C library by itself.
        for name in ["web", "api", "web.ov"] {
            let found = |text: &str| text.split_whitespace().next() == Some(&web.to_string());
            wait_until(&format!("ctr's finds {name}"), PATIENCE, || {
                in_job(&["getent", "hosts", name]).is_ok_and(|it| it.code == 0 && found(&it.stdout))
            })?;
        }
        for name in ["asker", "asker.ov"] {
            let found = podman.exec("web", &format!("getent hosts {name}"))?.stdout;
            ensure!(found.starts_with(&asker.ip(0)?), "{name}: {found}");
        }
        let pinged = in_job(&["ping", "-c", "1", "-W", "2", "web"])?;
        ensure!(pinged.code == 0, "{pinged:?}");
        podman.exec("web", &format!("ping -c 1 -W 2 {job}"))?;
        probe::ask(&asker.container, Proto::Tcp, (web, image::PORT)).context("across hosts")?;
        let links = podman.exec("web", "ip -o link")?.stdout;
        ensure!(links.contains("eth0") && links.contains("eth1"), "{links}");
        let at = (IpAddr::from([192, 0, 2, 10]), 8080);
        probe::ask(&site.internet.host, Proto::Tcp, at).context("by its published port")?;

        podman.remove("web")?;
        containerd.ctr(&["tasks", "rm", "--force", "job"]).run()?;
        containerd.ctr(&["containers", "rm", "job"]).run()?;
        asker.container.remove()?;
        for host in [&one, &other] {
            wait_until("nothing is left", PATIENCE, || {
                let is_empty = |dir: &str| host.list(dir).is_ok_and(|all| all.is_empty());
                ["/run/netd/netns", "/run/netd/attachments/ov", "/run/netd/overlays"]
                    .iter()
                    .all(|dir| is_empty(dir))
            })?;
            let shown = host.run(&[NETD, "ps", "-q"])?.stdout;
            ensure!(shown.is_empty(), "{shown}");
        }
        wait_until("nor in the store", PATIENCE, || {
            site.stored("endpoints/").is_ok_and(|all| all.is_empty())
        })?;
        site.done(1, &["rm", "ov"]).map(drop)
    })
}
