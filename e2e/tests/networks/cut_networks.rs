//! An agent that is killed while it makes and removes networks. Names begin with the id of the behaviour of
//! Docker's that is shown.

use anyhow::{Context as _, Result, ensure};
use e2e::cut::Cut;
use e2e::points::{FROM, INJECT};
use e2e::{PATIENCE, Place as _, bins, require, require_programs, snapshot, wait_until};

use crate::site::{Site, run};

type Words = &'static [&'static str];

const APP: Words = &["create", "--ipv6", "--publish-cni", "app"];
const LAN: Words = &[
    "create",
    "-d",
    "macvlan",
    "-o",
    "parent=eth0",
    "-o",
    "host_access=true",
    "--subnet",
    "10.7.0.0/24",
    "lan",
];

/// What is asked for, and which networks there are before.
const WORK: [(&[Words], Words); 5] = [
    (&[], APP),
    (&[], LAN),
    (&[APP], &["rm", "app"]),
    (&[LAN], &["rm", "lan"]),
    (&[APP, LAN], &["prune", "--force"]),
];

/// Where the agent is killed, by the number of the place.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Of profile `inject`: `message` to the kernel, write to `disk`, `sysctl`.
    Inject(&'static str),
    /// A file that it puts in place or removes.
    File,
}

const KINDS: [At; 4] = [At::Inject("message"), At::Inject("disk"), At::Inject("sysctl"), At::File];

/// System calls for files.
const FILES: &str = "rename,renameat,renameat2,unlink,unlinkat";

/// Whether it came so far.
fn cut(site: &mut Site, at: At, nth: usize, words: Words) -> Result<bool> {
    let traced = match at {
        At::File => Some(Cut::at(site.pid()?, FILES, nth + 1)?),
        At::Inject(kind) => {
            site.kill();
            site.host.sh(&format!("rm -f {FROM}"))?;
            let inject = format!("{kind}:kill:{nth}");
            site.run(INJECT, &[("NETD_INJECT", &inject), ("NETD_INJECT_FROM", FROM)])?;
            site.host.write_file(FROM, "")?;
            None
        }
    };
    let is_done = site.network(words)?.code == 0;
    traced.map_or(Ok(()), |traced| traced.end(is_done))?;
    if is_done {
        return Ok(false);
    }
    wait_until("it is killed", PATIENCE, || !site.is_alive())?;
    Ok(true)
}

/// Every network that is listed is there with all that it has, and nothing is of one that is not.
fn whole(site: &Site) -> Result<()> {
    let (bridges, shown) = (site.bridges()?, site.shown_bridges()?);
    ensure!(bridges == shown, "{bridges:?}, and listed are {shown:?}");
    let listed = site.done(&["ls", "--filter", "type=custom", "--format", "{{.Name}}"])?;
    let there = |path: &str| site.host.path(path).exists();
    for (name, files) in [
        ("app", &["/run/netd/net.d/app.conflist", "/etc/cni/net.d/zz-netd-app.conflist"][..]),
        ("lan", &["/run/netd/net.d/lan.conflist"]),
    ] {
        let is_listed = listed.lines().any(|line| line == name);
        for file in files {
            ensure!(there(file) == is_listed, "{name} is listed: {is_listed}, not so {file}");
        }
    }
    let links = site.links()?;
    let has_link = links.iter().any(|link| link.name.starts_with("nh-") && link.up);
    ensure!(has_link == listed.contains("lan"), "{listed}, and there are {links:?}");
    Ok(())
}

#[test]
fn b13_an_agent_that_is_killed_anywhere_in_create_rm_and_prune_leaves_networks_whole_or_not_at_all()
-> Result<()> {
    if !require("built netd (make build)", bins::injected("netd").is_ok())?
        || !require_programs(&["strace"])?
    {
        return Ok(());
    }
    run(|site| {
        site.host.copy_program(&bins::injected("netd")?, INJECT)?;
        snapshot::quiet(&site.host)?;
        site.host.sh("ip link add eth0 up type veth peer name far; ip link set far up")?;
        site.done(APP)?;
        site.done(&["prune", "--force"])?;
        let free = snapshot::settled(&site.host)?;
        for (before, words) in WORK {
            let mut cuts = 0;
            for at in KINDS {
                for nth in 0.. {
                    before.iter().try_for_each(|words| site.done(words).map(drop))?;
                    let is_cut = cut(site, at, nth, words)?;
                    site.kill();
                    site.resume()?;
                    let place = || format!("{words:?} cut at {at:?} {nth}");
                    whole(site).with_context(place)?;
                    site.done(&["prune", "--force"]).with_context(place)?;
                    let left = snapshot::settled(&site.host)?;
                    let differences = || snapshot::differences(&free, &left);
                    ensure!(left == free, "{}: {}", place(), differences());
                    if !is_cut {
                        break;
                    }
                    cuts += 1;
                }
            }
            ensure!(cuts > 5, "{words:?}: {cuts} cuts");
        }
        Ok(())
    })
}
