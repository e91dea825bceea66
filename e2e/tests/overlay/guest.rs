//! Containers on overlays, and what is below them on their hosts.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::guest::Guest;
use e2e::{Host, Output, PATIENCE, Place as _, Proto, probe, wait_until};

use crate::site::Site;

/// The one reaches the other by TCP, UDP and ICMP, as who it is.
pub(crate) fn together(from: &Guest, to: &Guest) -> Result<()> {
    let seen = reaches(from, to.at())?;
    ensure!(seen == from.ip, "{} is seen as {seen}", from.container.name());
    Ok(())
}

/// An address is reached by TCP, UDP and ICMP, as soon as the host has heard of it; gives as whom.
pub(crate) fn reaches(from: &Guest, to: (IpAddr, u16)) -> Result<IpAddr> {
    let what = format!("{} reaches {}", from.container.name(), to.0);
    wait_until(&what, PATIENCE, || probe::pings(&from.container, to.0).unwrap_or(false))?;
    probe::ask(&from.container, Proto::Udp, to)?;
    Ok(probe::ask(&from.container, Proto::Tcp, to)?.source.ip())
}

/// The link-layer address of a container with an address of IPv4.
pub(crate) fn mac(ip: IpAddr) -> Result<String> {
    let IpAddr::V4(ip) = ip else { bail!("{ip} is of IPv6") };
    let [a, b, c, d] = ip.octets();
    Ok(format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
}

/// The path of a network's namespace on each host.
pub(crate) fn netns(site: &Site, network: &str) -> Result<String> {
    let id = site.inspect(0, network)?["Id"].as_str().context("an id")?.to_owned();
    Ok(format!("/run/netd/netns/{}", id.get(..12).context("twelve digits")?))
}

/// A command in a network's namespace on a host.
pub(crate) fn below(host: &Host, netns: &str, words: &[&str]) -> Result<Output> {
    host.command(&["nsenter", &format!("--net={netns}")]).args(words).run()
}

/// The names of links in a network's namespace, but for containers' and `lo`.
pub(crate) fn links_below(host: &Host, netns: &str) -> Result<Vec<String>> {
    let links = below(host, netns, &["ip", "-j", "link"])?.json()?;
    let names = links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
    let names = names.filter(|name| *name != "lo" && !name.starts_with("veth"));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// What leads to other hosts: permanent neighbours and forwarding entries.
pub(crate) fn entries(host: &Host, netns: &str) -> Result<Vec<String>> {
    let neighbours = below(host, netns, &["ip", "neigh", "show", "nud", "permanent"])?.stdout;
    let forwarding = below(host, netns, &["bridge", "fdb", "show", "dev", "vxlan0"])?.stdout;
    let forwarding = forwarding.lines().filter(|line| line.contains(" dst "));
    let mut all: Vec<String> =
        neighbours.lines().chain(forwarding).map(|line| line.trim().to_owned()).collect();
    all.sort();
    Ok(all)
}
