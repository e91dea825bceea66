//! A thousand hosts: what they cost one of them. Figures go to standard error; bounds in time are
//! for a busy machine, counts are held closely. `make bench` has the same without bounds.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{Node, Place as _, scale};

use crate::site::{Site, run};

#[test]
fn a_thousand_peers_cost_little_memory_and_one_event_the_same_as_among_ten() -> Result<()> {
    if !e2e::require_programs(&["strace"])? {
        return Ok(());
    }
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(scale::NETWORK)?;
        scale::populate(&site.etcd, &site.internet.host, 10)?;
        site.add(lab, "host1", &["-log=warn"])?;
        let Site { nodes, etcd, internet, .. } = &mut site;
        let node: &mut Node = nodes.first_mut().context("a host")?;
        node.wait_ready()?;
        let among_ten = scale::event(node, etcd, 10)?;
        scale::populate(etcd, &internet.host, 100)?;
        let among_hundred = scale::event(node, etcd, 100)?;
        node.stop()?;
        scale::populate(etcd, &internet.host, 1000)?;
        // From nothing, as after a reboot.
        node.host.sh("ip link del flannel.1")?;
        let start = Instant::now();
        node.resume()?;
        node.wait_ready()?;
        let ready = start.elapsed();
        let shown = node.host.run(&["ip", "route", "show", "proto", "78"])?.stdout;
        assert_eq!(shown.lines().count(), 1000);
        let among_thousand = scale::event(node, etcd, 1000)?;
        let memory = scale::memory(node)?;
        writeln!(
            std::io::stderr(),
            "1000 peers: ready after {ready:?}, {memory} KiB; one event: {among_thousand:?}, among \
             a hundred {among_hundred:?}, among ten {among_ten:?}"
        )?;
        ensure!(memory < 30 * 1024, "{memory} KiB");
        ensure!(among_thousand.time < 1000, "{among_thousand:?}");
        ensure!(
            among_thousand.time < 2 * among_ten.time + 100,
            "{among_thousand:?}, {among_ten:?}"
        );
        for among in [&among_hundred, &among_thousand] {
            let more = among.calls - among_ten.calls;
            ensure!(more.abs() < 0.25, "{among:?}, {among_ten:?}");
        }
        Ok(())
    })
}
