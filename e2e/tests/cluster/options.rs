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
fn version_and_options_are_printed_and_nothing_is_done() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let with = |words: &[&str]| host.command(&[NETD]).args(words).output();
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
