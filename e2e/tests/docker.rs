//! Docker on a host's subnet: the options that `netd subnet-env` prints, given to Debian's dockerd.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use e2e::runtimes::Docker;
use e2e::{
    Internet, Lab, PATIENCE, Place as _, Proto, bins, image, probe, require_programs, wait_until,
};

const NETD: &str = "/opt/netd";
const SUBNET_ENV: &str = "/run/flannel/subnet.env";
/// As flannel writes it, for an agent that does not masquerade.
const ENV: &str = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";

#[test]
fn docker_runs_on_the_hosts_subnet() -> Result<()> {
    if !require_programs(&["dockerd", "docker", "runc"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        let uplink = internet.connect(lab, &host)?;
        host.copy_program(&bins::program("netd")?, NETD)?;
        let early = host.command(&[NETD, "subnet-env", "--docker-opts"]).output()?;
        ensure!(early.code == 1 && early.stderr.contains("no subnet yet"), "{early:?}");
        host.write_file(SUBNET_ENV, ENV)?;
        assert_eq!(host.run(&[NETD, "subnet-env"])?.stdout, ENV);
        let file = "/run/docker_opts.env";
        host.run(&[NETD, "subnet-env", "--docker-opts", "-c", "-k", "OPTS", "-d", file])?;
        let options = " --bip=10.5.72.1/24 --ip-masq=true --mtu=1450";
        assert_eq!(host.read(file)?, format!("OPTS=\"{options}\"\n"));

        let docker = Docker::with_environment_file(&host, file, "OPTS")?;
        assert_eq!(host.addresses("docker0")?, ["10.5.72.1/24"]);
        docker.run(&["run", "--detach", "--name", "web", image::IMAGE])?;
        let mtu = |link: &str| host.read(&format!("/sys/class/net/{link}/mtu"));
        wait_until("docker0 has the MTU of the subnet", PATIENCE, || {
            mtu("docker0").is_ok_and(|mtu| mtu.trim() == "1450")
        })?;
        let shown = docker.run(&["exec", "web", "cat", "/sys/class/net/eth0/mtu"])?.stdout;
        assert_eq!(shown.trim(), "1450");
        let web: IpAddr = Ipv4Addr::new(10, 5, 72, 2).into();
        probe::ask(&host, Proto::Tcp, (web, image::PORT))?;
        let out = format!("{}:{}", Internet::V4, Internet::PORT);
        let ask = ["exec", "web", probe::PROGRAM, "tcp", &out, "5000"];
        let seen = probe::parse(&docker.run(&ask)?.stdout)?;
        assert_eq!(seen.source.ip(), uplink.v4);
        docker.run(&["rm", "--force", "web"]).map(drop)
    })
}
