//! netd's networks beside Docker's on one host: containers of Debian's dockerd, connected by netd.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::names::{Asker, NO_ERROR, NX_DOMAIN};
use e2e::runtimes::Docker;
use e2e::{Lab, PATIENCE, Place as _, Proto, image, probe, require_programs, wait_until};
use serde_json::json;

use crate::connect::ps;
use crate::site::Site;

const FILE: &str = "/run/docker.env";

#[test]
fn b7_dockers_containers_are_connected_and_both_sets_of_rules_live_whoever_starts_first()
-> Result<()> {
    if !require_programs(&["dockerd", "docker", "runc"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        let uplink = internet.connect(lab, &host)?;
        host.write_file(FILE, "OPTS=\"\"\n")?;
        let docker = Docker::with_environment_file(&host, FILE, "OPTS")?;
        let mut site = Site::start(&host, &["--standalone"])?;
        site.done(&["create", "--subnet", "172.30.0.0/24", "app"])?;
        let asker = Asker::new(&host, "asker", "app", &json!({}))?;
        let _server = probe::serve(&asker.container, image::PORT, &[])?;
        // The container is on netd's network, by this word for it, and on Docker's own.
        let mut lives = |docker: &Docker, ip: &str, word: fn(&str) -> &str| -> Result<()> {
            let run = ["run", "--detach", "--name", "web", "-p", "8080:80", image::IMAGE];
            let id = docker.run(&run)?.stdout;
            let word = word(id.trim());
            site.done(&["connect", "--ip", ip, "app", word])?;
            let web: IpAddr = ip.parse()?;
            for name in ["web", "web.app", &id[..12]] {
                let found = asker.asks(name, false)?;
                assert_eq!(found, (NO_ERROR, vec![web.to_string()]), "{name}");
            }
            probe::ping(&asker.container, web)?;
            probe::ask(&asker.container, Proto::Tcp, (web, image::PORT))?;
            let peer = format!("172.30.0.2:{}", image::PORT);
            docker.run(&["exec", "web", probe::PROGRAM, "tcp", &peer, "5000"])?;
            let is_published = || probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 8080));
            is_published().context("Docker's published port")?;
            site.kill();
            site.resume()?;
            is_published().context("after a restart of netd")?;
            probe::ask(&asker.container, Proto::Tcp, (web, image::PORT))?;
            site.done(&["disconnect", "app", word])?;
            assert_eq!(asker.asks("web", false)?, (NX_DOMAIN, vec![]));
            is_published().context("when it is off netd's network")?;
            site.done(&["connect", "app", word])?;
            docker.run(&["rm", "--force", "web"])?;
            wait_until("netd takes off who is gone", PATIENCE, || {
                ps(&site, "{{.ID}}").is_ok_and(|listed| listed == "asker")
            })?;
            assert_eq!(asker.asks("web", false)?, (NX_DOMAIN, vec![]));
            Ok(())
        };
        lives(&docker, "172.30.0.9", |_| "web").context("dockerd was first")?;
        let rules = || host.run(&["nft", "list", "table", "inet", "netd"]);
        let before = rules()?.stdout;
        drop(docker);
        let docker = Docker::with_environment_file(&host, FILE, "OPTS")?;
        // Its address is known of another link-layer address.
        lives(&docker, "172.30.0.9", |id| &id[..12]).context("netd was first")?;
        ensure!(rules()?.stdout == before, "netd's rules are as they were:\n{before}");
        Ok(())
    })
}
