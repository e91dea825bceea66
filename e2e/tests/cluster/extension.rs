//! Hosts that the administrator's commands connect.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{NETD, Node, PATIENCE, Place as _, wait_until};

use crate::operate::netd;
use crate::site::{Site, all_reach_all, is_well, run, says};

const COMMANDS: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"extension",
    "PreStartupCommand":"uname -n",
    "PostStartupCommand":"mkdir -p /run/post/$SUBNET/$PUBLIC_IP/$NETWORK",
    "SubnetAddCommand":"ip route replace $SUBNET via ${PUBLIC_IP} dev eth0",
    "SubnetRemoveCommand":"ip route del $SUBNET",
    "ShutdownCommand":"rm -r /run/post"}}"#;

const OF_A_SHELL: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"extension",
    "PreStartupCommand":"echo \"I am\"; uname -n",
    "SubnetAddCommand":"read -r data; ip route replace $SUBNET via $PUBLIC_IP dev eth0 && echo $data >>/run/said"}}"#;

#[test]
fn commands_connect_hosts_without_a_shell_and_take_back_what_they_made() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, COMMANDS, 2, &["-ip-masq"])?;
        let members = site.members()?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        all_reach_all(&members)?;
        let key = site.nodes[1].key()?;
        let lease = site.etcd.ctl(&["get", &format!("{}/subnets/{key}", e2e::PREFIX)])?;
        let published = r#""BackendType":"extension","BackendData":"host2"}"#;
        ensure!(format!("{lease:?}").replace('\\', "").contains(published), "{lease:?}");
        let post = format!("/run/post/{}", key.replace('-', "/"));
        site.nodes[1].host.sh(&format!("ls -d {post}/192.0.2.*/10.5.0.0/16"))?;

        site.nodes[1].stop()?;
        site.nodes[1].host.sh("test -d /run/post")?;
        site.etcd.ctl(&["del", &format!("{}/subnets/{key}", e2e::PREFIX)])?;
        let net = key.replace('-', "/");
        let host = &site.nodes[0].host;
        wait_until("the route of the host that left is gone", PATIENCE, || {
            host.run(&["ip", "route"]).is_ok_and(|shown| !shown.stdout.contains(&net))
        })?;
        site.nodes[1].host.run(&[NETD, "cleanup"])?;
        site.nodes[1].host.sh("! test -e /run/post")?;
        Ok(())
    })
}

#[test]
fn another_address_and_other_commands_run_what_a_restart_would() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, COMMANDS, 2, &["-ip-masq"])?;
        let members = site.members()?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        let (stays, moves) = (&site.nodes[0], &site.nodes[1]);
        let net = moves.key()?.replace('-', "/");
        moves.host.sh("ip addr add 192.0.2.111/24 dev eth0
            ip addr change 192.0.2.11/24 dev eth0 preferred_lft 0")?;
        let shows = |node: &Node, what: &str, script: &str| {
            wait_until(what, PATIENCE, || node.host.sh(script).is_ok())
        };
        shows(
            moves,
            "the start's command, again",
            &format!("test -d /run/post/{net}/192.0.2.111"),
        )?;
        shows(
            stays,
            "the peer's route",
            &format!("ip route show {net} | grep 'via 192.0.2.111 '"),
        )?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;

        site.etcd.configure(&COMMANDS.replace("dev eth0", "dev eth0 metric 7"))?;
        shows(
            stays,
            "the other command's route",
            &format!("ip route show {net} | grep 'metric 7'"),
        )?;
        stays.host.run(&["ip", "link", "set", "eth0", "mtu", "1400"])?;
        shows(stays, "another MTU", "grep FLANNEL_MTU=1400 /run/flannel/subnet.env")?;

        site.etcd.configure(&COMMANDS.replace("uname -n", "uname -n; false"))?;
        wait_until("a command for a shell is refused", PATIENCE, || {
            says(stays, 200, "--extension-shell")
        })?;
        site.etcd.configure(&COMMANDS.replace("uname -n", "false"))?;
        wait_until("a command that fails is told", PATIENCE, || {
            says(stays, 200, "PreStartupCommand")
        })?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)
    })
}

#[test]
fn a_command_for_a_shell_is_refused_where_the_host_allows_none() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(OF_A_SHELL)?;
        site.add(lab, "host1", &[])?;
        let refused = &site.nodes[0];
        wait_until("the refusal is told", PATIENCE, || says(refused, 503, "--extension-shell"))?;
        for name in ["host2", "host3"] {
            site.add(lab, name, &["-extension-shell"])?;
        }
        site.nodes[1].wait_ready()?;
        site.nodes[2].wait_ready()?;
        let members = [site.nodes[1].add("web")?, site.nodes[2].add("web")?];
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        // The first of its two lines: `read` takes one.
        let said = site.nodes[1].host.read("/run/said")?;
        ensure!(said == "I am\n", "{said:?}");
        Ok(())
    })
}

/// For the host at 192.0.2.77 it does not end; for any other it leaves a process that keeps its output.
const HANGS: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"extension",
    "SubnetAddCommand":"[ $PUBLIC_IP = 192.0.2.77 ] && sleep infinity; ip route replace $SUBNET via $PUBLIC_IP dev eth0; sleep 20 &",
    "SubnetRemoveCommand":"true"}}"#;

const HANGING_HOST: &str = "/coreos.com/network/subnets/10.5.0.0-24";

#[test]
fn a_command_that_hangs_or_leaves_a_daemon_keeps_no_other_host_from_being_connected() -> Result<()>
{
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        let lease = r#"{"PublicIP":"192.0.2.77","BackendType":"extension","BackendData":""}"#;
        // The first of all subnets, which no host takes, and so the first to be connected.
        site.etcd.ctl(&["put", HANGING_HOST, lease])?;
        site.fill(lab, HANGS, 2, &["-extension-shell", "-extension-timeout=2"])?;
        let members = site.members()?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        let node = &site.nodes[0];
        let told = "Backend.SubnetAddCommand for 10.5.0.0-24 failed: it had not ended after 2 s and was killed";
        wait_until("the command that hung is told", PATIENCE, || says(node, 200, told))?;
        let status = netd(&node.host, &["status"])?;
        let line = status.stdout.lines().find(|line| line.starts_with("backend "));
        ensure!(status.code == 0 && line.is_some_and(|line| line.contains(told)), "{status:?}");
        site.etcd.ctl(&["del", HANGING_HOST])?;
        wait_until("it is told until the host is gone", PATIENCE, || is_well(&site.nodes[0]))
    })
}

#[test]
fn a_start_whose_command_hangs_is_told_and_ended_by_sigterm_or_by_the_bound() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        let command = format!("sleep {}", 1_000_000 + std::process::id());
        let config = COMMANDS.replace("mkdir -p /run/post/$SUBNET/$PUBLIC_IP/$NETWORK", &command);
        site.etcd.configure(&config)?;
        site.add(lab, "host1", &["-extension-timeout=10"])?;
        let told = "Backend.PostStartupCommand has not ended yet, and is killed after 10 s";
        wait_until("it is told what the start waits for", PATIENCE, || {
            says(&site.nodes[0], 503, told)
        })?;
        let begun = Instant::now();
        ensure!(site.nodes[0].stop()? == 0, "SIGTERM ends it with 0");
        ensure!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        let pattern = command.replace("sleep", "[s]leep");
        wait_until("the command is gone, too", PATIENCE, || {
            site.nodes[0].host.sh(&format!("! pgrep -f '{pattern}'")).is_ok()
        })?;

        site.add(lab, "host2", &["-extension-timeout=1"])?;
        let agent = site.nodes[1].agent()?;
        ensure!(agent.wait(PATIENCE)? == 1, "it ends as where the command fails");
        let log = agent.log();
        let why = "run Backend.PostStartupCommand: it had not ended after 1 s and was killed";
        ensure!(log.lines().any(|line| line.contains(" ERROR ") && line.contains(why)), "{log}");
        Ok(())
    })
}
