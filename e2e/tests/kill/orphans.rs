//! Attachments whose records are lost or damaged, and what is in our tables but not ours.

use anyhow::{Result, ensure};
use e2e::{Lab, Place as _};

use crate::can_run;
use crate::site::Site;

const RECORDS: &str = "/run/netd/attachments/red/web";
/// The whole chain attached, with a flow through a published port.
const ATTACHED: &str = "ip netns add web; bash /opt/kill.sh add bridge portmap firewall; \
                        bash /opt/kill.sh knock";

#[test]
fn gc_takes_away_what_lost_its_record() -> Result<()> {
    check(&format!("rm {RECORDS}/*"), &["collect"])
}

#[test]
fn gc_takes_away_what_has_a_damaged_record() -> Result<()> {
    check(&damage("bridge portmap firewall"), &["collect"])
}

#[test]
fn del_takes_away_what_has_a_damaged_record() -> Result<()> {
    check(&damage("bridge portmap firewall"), &["del", "bridge", "portmap", "firewall"])
}

#[test]
fn gc_keeps_what_is_valid_and_has_a_damaged_record() -> Result<()> {
    on_site(&damage("portmap"), |site| {
        let valid = r#""cni.dev/valid-attachments":[{"containerID":"web","ifname":"eth0"}]"#;
        site.host.sh(&format!(
            "sed -i 's|\"cni.dev/valid-attachments\":\\[\\]|{valid}|' /run/kill/*.GC.json"
        ))?;
        let said = site.script(&["collect"], "true")?;
        ensure!(said.starts_with("GC of portmap failed") && said.lines().count() == 1, "{said}");
        let seen = site.script(&["differs", "3", "-3"], "true")?;
        ensure!(seen.is_empty(), "all of it stays: {seen}");
        Ok(())
    })
}

#[test]
fn gc_leaves_the_administrators_sets_alone() -> Result<()> {
    let own = "nft 'add set inet netd own_hosts { type ipv4_addr; flags interval; \
               elements = { 10.1.0.0/24 comment \"red/web/eth0\" }; }'";
    on_site(own, |site| {
        let said = site.script(&["collect"], "true")?;
        ensure!(said.is_empty(), "{said}");
        let set = site.host.run(&["nft", "list", "set", "inet", "netd", "own_hosts"])?.stdout;
        ensure!(set.contains("10.1.0.0/24"), "{set}");
        Ok(())
    })
}

#[test]
fn the_snapshot_shows_all_that_an_attachment_is() -> Result<()> {
    on_site("true", |site| {
        let left = site.script(&["differs", "0", "-13"], "true")?;
        let parts = [
            "link veth",
            r#"10.1.0.5 . "red" comment "red/web/eth0""#,
            r#"tcp . 8080 comment "red/web/eth0" : 10.1.0.5 . 80"#,
            "/run/netd/attachments/red/web/eth0:bridge",
            "/run/netd/attachments/red/web/eth0:firewall",
            "/run/netd/attachments/red/web/eth0:portmap",
            "/var/lib/cni/networks/red/10.1.0.5",
        ];
        for part in parts {
            ensure!(left.contains(part), "{part} is not in {left}");
        }
        ensure!(left.lines().any(|line| line == "10.1.0.5"), "no translated flow: {left}");
        Ok(())
    })
}

fn damage(plugins: &str) -> String {
    format!("for p in {plugins}; do echo nothing >{RECORDS}/eth0:$p; done")
}

/// Does something to an attachment and cleans up; nothing must be left then, and ADD must work.
fn check(harm: &str, recovery: &[&str]) -> Result<()> {
    on_site(harm, |site| {
        let said = site.script(recovery, "export NETNS=")?;
        ensure!(said.is_empty(), "{said}");
        for look in [&["differs", "0", "-3"][..], &["again"]] {
            let seen = site.script(look, "true")?;
            ensure!(seen.is_empty(), "{seen}");
        }
        Ok(())
    })
}

fn on_site(harm: &str, test: impl FnOnce(&Site) -> Result<()>) -> Result<()> {
    if !can_run()? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab, "host")?;
        site.host.sh(ATTACHED)?;
        site.host.sh(harm)?;
        test(&site)
    })
}
