//! The agent's command line, and what ends it.

use anyhow::{Result, ensure};
use e2e::{Etcd, Host, Lab, NETD, Place as _, bins};

use crate::site::{Site, VXLAN, run};

fn host(lab: &Lab) -> Result<Host> {
    let host = lab.host("host")?;
    host.copy_program(&bins::program("netd")?, NETD)?;
    Ok(host)
}

#[test]
fn bad_flags_exit_with_2_and_bad_configuration_with_64() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        host.write_file("/etc/netd.toml", "etcd-prefx = '/x'\n")?;
        let with = |words: &[&str]| host.command(&[NETD]).args(words).output();
        for (words, code, says) in [
            (vec!["-no-such-flag"], 2, "there is no option --no-such-flag"),
            (vec!["run", "-ip-masq", "false"], 2, "\"false\" is no option"),
            (vec!["-kube-subnet-mgr"], 2, "no Kubernetes mode"),
            (vec!["-config=/etc/netd.toml"], 64, "/etc/netd.toml: there is no option etcd-prefx"),
            (vec!["-config=/nope"], 64, "/nope"),
            (
                vec!["-etcd-cafile=/nope.pem", "-etcd-endpoints=https://192.0.2.1:2379"],
                64,
                "/nope.pem",
            ),
            (vec!["-etcd-own-prefix=/coreos.com/network/x"], 64, "one in the other"),
        ] {
            let output = with(&words)?;
            ensure!(output.code == code && output.stderr.contains(says), "{words:?}: {output:?}");
        }
        let output = host.command(&[NETD, "run"]).env("FLANNELD_IP_MASQ", "maybe").output()?;
        ensure!(output.code == 64 && output.stderr.contains("FLANNELD_IP_MASQ"), "{output:?}");
        for words in [vec!["-version"], vec!["--version"], vec!["run", "--version"]] {
            let output = with(&words)?;
            ensure!(output.code == 0 && output.stdout.starts_with("netd 0."), "{output:?}");
        }
        let output = with(&["run", "--help"])?;
        ensure!(output.code == 0 && output.stdout.contains("--etcd-endpoints URLS"), "{output:?}");
        ensure!(host.interfaces()? == ["lo"], "nothing was changed");
        Ok(())
    })
}

#[test]
fn an_interface_that_does_not_fit_is_named_and_nothing_is_changed() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        site.add(lab, "host1", &["-iface=eth7"])?;
        let agent = site.nodes[0].agent()?;
        ensure!(agent.wait(e2e::PATIENCE)? == 1);
        let log = agent.log();
        ensure!(log.contains("--iface eth7: no such interface"), "{log}");
        ensure!(log.contains("eth0 (192.0.2.10"), "{log}");
        ensure!(site.nodes[0].host.interfaces()? == ["eth0", "lo"]);
        ensure!(site.etcd.list(&format!("{}/subnets", e2e::PREFIX))?.is_empty());
        Ok(())
    })
}

#[test]
fn systemd_is_told_how_it_stands() -> Result<()> {
    run(|lab| {
        let site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        let told = notified(lab, &site.etcd, &site)?;
        for text in ["STATUS=10.5.", "READY=1", "WATCHDOG=1", "STOPPING=1"] {
            ensure!(told.contains(text), "{text}: {told}");
        }
        Ok(())
    })
}

/// Runs the agent beside somebody who listens as systemd does, and gives what was heard.
fn notified(lab: &Lab, etcd: &Etcd, site: &Site) -> Result<String> {
    let host = host(lab)?;
    site.internet.connect(lab, &host)?;
    let listen = "import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('/run/notify')
print('listening', flush=True)
while True: print(s.recv(4096).decode(), flush=True)";
    let mut listener = host.spawn("notify", &["python3", "-c", listen])?;
    listener.wait_for_log("listening", e2e::PATIENCE)?;
    let mut agent = host
        .command(&[NETD, &format!("-etcd-endpoints={}", etcd.url())])
        .env("NOTIFY_SOCKET", "/run/notify")
        .env("WATCHDOG_USEC", "300000")
        .spawn("netd")?;
    listener.wait_for_log("READY=1", e2e::PATIENCE)?;
    listener.wait_for_log("WATCHDOG=1", e2e::PATIENCE)?;
    agent.signal(rustix::process::Signal::TERM)?;
    ensure!(agent.wait(e2e::PATIENCE)? == 0, "{}", agent.log());
    listener.wait_for_log("STOPPING=1", e2e::PATIENCE)?;
    Ok(listener.log())
}
