//! Docker beside CNI: Debian's dockerd on the subnet that netd has leased, as people ran flannel
//! with it.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::runtimes::Docker;
use e2e::{Internet, Lab, NETD, Place as _, Proto, image, probe, require_programs};

use crate::site::{Site, VXLAN};

#[test]
fn docker_on_a_leased_subnet_reaches_the_containers_of_another_host() -> Result<()> {
    if !require_programs(&["etcd", "etcdctl", "dockerd", "docker", "runc"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let [first, second] = site.nodes.as_slice() else { anyhow::bail!("two hosts") };
        let file = "/run/docker_opts.env";
        first.host.run(&[NETD, "subnet-env", "--docker-opts", "-c", "-k", "OPTS", "-d", file])?;
        let (gateway, length) = first.subnet()?;
        let options = format!(" --bip={gateway}/{length} --ip-masq=false --mtu=1450");
        assert_eq!(first.host.read(file)?, format!("OPTS=\"{options}\"\n"));

        let docker = Docker::with_environment_file(&first.host, file, "OPTS")?;
        docker.run(&["run", "--detach", "--name", "web", image::IMAGE])?;
        let format = "{{.NetworkSettings.IPAddress}}";
        let web = docker.run(&["inspect", "--format", format, "web"])?.stdout;
        let web: IpAddr = web.trim().parse().context("an address in what docker inspect shows")?;
        let member = second.add("member")?;
        let _server = probe::serve(&member.container, 80, &[])?;

        let seen = probe::ask(&member.container, Proto::Tcp, (web, image::PORT))?;
        assert_eq!(seen.source.ip(), member.ip, "nobody translates between hosts");
        let ask = |to: String| -> Result<IpAddr> {
            let ask = ["exec", "web", probe::PROGRAM, "tcp", &to, "5000"];
            Ok(probe::parse(&docker.run(&ask)?.stdout)?.source.ip())
        };
        assert_eq!(ask(format!("{}:80", member.ip))?, web, "nor on the way back");
        let outside = ask(format!("{}:{}", Internet::V4, Internet::PORT))?;
        ensure!(site.uplinks.first().is_some_and(|uplink| uplink.v4 == outside), "{outside}");
        docker.run(&["rm", "--force", "web"]).map(drop)
    })
}
