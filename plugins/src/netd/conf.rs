//! The keys of netd.

use std::net::IpAddr;

use cni::conf::{Args, PortMapping};
use cni::{Error, Request, json};
use netd_api::attach::{Attach, Port};
use serde::Deserialize;

use crate::mac;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    network: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ArgsCni {
    ips: Vec<String>,
}

/// What netd is to be asked for by an ADD, without the namespace's path.
pub(super) fn wanted(request: &Request) -> Result<Attach, Error> {
    let args = Args::parse(&request.args)?;
    let known = args.take_known(&["IP", "K8S_POD_NAME", "MAC"])?;
    let given = |key: &str| known.get(key).copied().filter(|value| !value.is_empty());
    let mut names: Vec<String> = given("K8S_POD_NAME").map(str::to_owned).into_iter().collect();
    for alias in request.conf.aliases()? {
        if !names.contains(&alias) {
            names.push(alias);
        }
    }
    let mac = mac::asked_for(request, given("MAC"))?;
    Ok(Attach {
        network: network(request)?,
        container: request.container_id.clone(),
        ifname: Some(request.ifname.clone()),
        names,
        ports: request.conf.port_mappings()?.into_iter().map(port).collect(),
        ips: ips(request, given("IP"))?,
        mac: mac.map(|mac| mac.to_string()),
        ..Attach::default()
    })
}

/// netd's name of the network: the configuration's, unless key `network` has another.
pub(super) fn network(request: &Request) -> Result<String, Error> {
    let wire: Wire = json::decode(&request.conf.raw)?;
    if wire.network.is_empty() {
        return Ok(request.conf.name.clone());
    }
    cni::skel::validate_network_name(&wire.network).map_err(|_| {
        let name = &wire.network;
        Error::config(format!(
            "network: {name:?} is no name of a network: write one that `netd network ls` shows"
        ))
    })?;
    Ok(wire.network)
}

/// runtimeConfig before args.cni before CNI_ARGS; with or without a prefix length.
fn ips(request: &Request, of_args: Option<&str>) -> Result<Vec<String>, Error> {
    let runtime = request.conf.ips()?;
    let cni: Option<ArgsCni> = request.conf.args_cni()?;
    let cni = cni.unwrap_or_default().ips;
    let (key, ips) = match (runtime.is_empty(), cni.is_empty()) {
        (false, _) => ("runtimeConfig.ips", runtime),
        (true, false) => ("args.cni.ips", cni),
        (true, true) => {
            let list = of_args.into_iter().flat_map(|list| list.split(','));
            ("CNI_ARGS IP", list.map(|ip| ip.trim().to_owned()).collect())
        }
    };
    for ip in &ips {
        let is_one = ip.parse::<IpAddr>().is_ok() || ipam::parse_cidr(ip).is_ok();
        if !is_one {
            return Err(Error::config(format!(
                "{key}: {ip:?} is not an IP address: write it as 10.1.0.7 or 10.1.0.7/24"
            )));
        }
    }
    Ok(ips)
}

/// Whether it makes sense netd says: it is the same for `netd network connect`.
fn port(mapping: PortMapping) -> Port {
    let PortMapping { host_port, container_port, protocol, host_ip } = mapping;
    let protocol = protocol.to_ascii_lowercase();
    Port { host_ip, host_port, container_port, protocol, ..Port::default() }
}
