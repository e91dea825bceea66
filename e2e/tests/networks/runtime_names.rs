//! Names, as programs in containers of real runtimes find each other: the C library, by the `resolv.conf`
//! that the result of an attachment asks for.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::names::{Asker, NX_DOMAIN};
use e2e::runtimes::{Containerd, Podman};
use e2e::{Container, Host, Output, PATIENCE, Place as _, PluginSet, Process, wait_until};
use serde_json::json;

use crate::connect::cni;
use crate::site::{Site, run};

/// In which a name is to be found after the ADD that gives it.
const BOUND: Duration = Duration::from_secs(1);

/// The `resolv.conf` of those whose runtime writes none.
const RESOLV_CONF: &str = "/run/app.resolv";

/// Containers that ask: of `ctr`, of Podman, and one that `netd cni` has attached.
struct Askers<'a> {
    containerd: &'a Containerd,
    podman: &'a Podman,
    hand: &'a Container,
    /// Who asks the gateway itself.
    asker: Asker,
}

impl Askers<'_> {
    /// `getent hosts NAME` in each of them.
    fn ask(&self, name: &str) -> Result<[(&'static str, Output); 3]> {
        let getent = ["getent", "hosts", name];
        let exec = ["tasks", "exec", "--exec-id", "ask", "one"];
        let inside = format!(
            "mount --bind {RESOLV_CONF} $(readlink -f /etc/resolv.conf) && getent hosts {name}"
        );
        Ok([
            ("ctr", self.containerd.ctr(&exec).args(getent).output()?),
            ("Podman", self.podman.command(&["exec", "two"]).args(getent).output()?),
            ("netd", self.hand.command(&["unshare", "-m", "sh", "-c", &inside]).output()?),
        ])
    }

    /// `getent hosts NAME` in each of them, over and over until the name is found.
    fn wait(&self, name: &str) -> Result<[(&'static str, Process); 3]> {
        let script = format!("echo waits; until getent hosts {name}; do sleep 0.05; done");
        let exec = ["tasks", "exec", "--exec-id", "wait", "one", "sh", "-c", &script];
        let inside =
            format!("mount --bind {RESOLV_CONF} $(readlink -f /etc/resolv.conf); {script}");
        let mut waiting = [
            ("ctr", self.containerd.ctr(&exec).spawn("ctr-waits")?),
            ("Podman", self.podman.command(&["exec", "two", "sh", "-c", &script]).spawn("podman")?),
            ("netd", self.hand.command(&["unshare", "-m", "sh", "-c", &inside]).spawn("netd")?),
        ];
        for (_, process) in &mut waiting {
            process.wait_for_log("waits", PATIENCE)?;
        }
        Ok(waiting)
    }

    /// Each by itself finds the name within a second of the ADD that gives it, and its address.
    fn find_at_once(&self, name: &str, add: impl FnOnce() -> Result<String>) -> Result<()> {
        let waiting = self.wait(name)?;
        let address = add()?;
        let added = Instant::now();
        for (by, process) in &waiting {
            let found = || process.log().contains(name);
            let rest = BOUND.saturating_sub(added.elapsed());
            wait_until(&format!("{by} finds {name}"), rest, found)?;
            ensure!(process.log().contains(&address), "{by}, {address}: {}", process.log());
        }
        self.find(&[name, &format!("{name}.app")], &address)
    }

    /// All find this address by each name.
    fn find(&self, names: &[&str], address: &str) -> Result<()> {
        for name in names {
            for (by, found) in self.ask(name)? {
                let first = found.stdout.split_whitespace().next();
                ensure!(first == Some(address), "{by} asks for {name}, {address}: {found:?}");
            }
        }
        Ok(())
    }

    /// None finds it, and the gateway says that there is no such name.
    fn miss(&self, name: &str) -> Result<()> {
        for name in [name, &format!("{name}.app")] {
            for (by, found) in self.ask(name)? {
                ensure!((found.code, found.stdout.as_str()) == (2, ""), "{by}, {name}: {found:?}");
            }
            assert_eq!(self.asker.asks(name, false)?, (NX_DOMAIN, vec![]), "{name}");
        }
        Ok(())
    }
}

/// A resolver on the host that knows no name, and the host's `resolv.conf` with it alone.
pub(crate) fn knows_no_name(host: &Host) -> Result<Process> {
    let words = ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--user=root"];
    let all = ["--listen-address=127.0.0.1", "--bind-interfaces", "--address=/#/"];
    let mut resolver = host.command(&words).args(all).spawn("knows-no-name")?;
    resolver.wait_for_log("started", PATIENCE)?;
    host.write_file("/etc/resolv.conf", "nameserver 127.0.0.1\n")?;
    Ok(resolver)
}

fn address(site: &Site, name: &str) -> Result<String> {
    let format = format!(
        "{{{{range .Containers}}}}{{{{if eq .Name \"{name}\"}}}}{{{{.IPv4Address}}}}{{{{end}}}}{{{{end}}}}"
    );
    let net = site.done(&["inspect", "-f", &format, "app"])?;
    Ok(net.split('/').next().unwrap_or_default().to_owned())
}

#[test]
fn d1_d2_getent_finds_who_is_attached_and_nobody_else_in_containers_of_every_runtime() -> Result<()>
{
    run(|site| {
        PluginSet::selected()?.install(&site.host)?;
        site.done(&["create", "--publish-cni", "app"])?;
        let gateway = site.gateway("app")?;
        site.host.write_file(RESOLV_CONF, format!("nameserver {gateway}\noptions ndots:0\n"))?;
        let _resolver = knows_no_name(&site.host)?;
        let containerd = Containerd::start(&site.host)?;
        let sleep = ["/bin/sleep", "1000"];
        let one = containerd.run_with_resolv_conf(RESOLV_CONF, "one", &sleep).spawn("one")?;
        let podman = Podman::new(&site.host)?;
        podman.start("two", &["--network", "app"])?;
        let hand = site.host.add_container("hand")?;
        cni(site, "add", "app", &hand)?;
        let asker = Asker::new(&site.host, "asker", "app", &json!({}))?;
        let askers = Askers { containerd: &containerd, podman: &podman, hand: &hand, asker };

        for name in ["two", "default-one", "hand"] {
            askers.find(&[name, &format!("{name}.app")], &address(site, name)?)?;
        }

        askers.find_at_once("three", || {
            podman.start("three", &["--network", "app"])?;
            address(site, "three")
        })?;
        podman.remove("three")?;
        askers.miss("three")?;

        let four = site.host.add_container("four")?;
        askers.find_at_once("four", || {
            cni(site, "add", "app", &four)?;
            address(site, "four")
        })?;
        cni(site, "del", "app", &four)?;
        askers.miss("four")?;

        let five = containerd.run_with_resolv_conf(RESOLV_CONF, "five", &sleep);
        let mut last = None;
        let attached =
            |there: bool| address(site, "default-five").is_ok_and(|a| a.is_empty() != there);
        askers.find_at_once("default-five", || {
            last = Some(five.spawn("five")?);
            wait_until("ctr has attached it", PATIENCE, || attached(true))?;
            address(site, "default-five")
        })?;
        containerd.ctr(&["tasks", "kill", "--signal", "KILL", "five"]).run()?;
        wait_until("ctr has taken it off", PATIENCE, || attached(false))?;
        askers.miss("default-five")?;
        drop((one, last));
        Ok(())
    })
}
