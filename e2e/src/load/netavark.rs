//! Attachments by netavark, which gets the address from its caller and makes bridge, ports and
//! firewall in one process.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::child::{self, Cost};
use super::{Attach, namespaces, ports};

/// Where Debian keeps it.
pub const PROGRAM: &str = "/usr/lib/podman/netavark";

const RUN: &str = "/run/netavark-load";

/// netavark, with its own directory for state.
#[derive(Debug)]
pub struct Netavark;

impl Netavark {
    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        std::fs::create_dir_all(RUN)?;
        Ok(Self)
    }

    fn call(verb: &str, number: u32) -> Result<Vec<Cost>> {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", crate::command::PATH);
        command.args(["--config", RUN, "--rootless=false", verb]).arg(namespaces::path(number));
        Ok(vec![child::run(&mut command, conf(number).to_string().as_bytes())?.cost])
    }
}

impl Attach for Netavark {
    fn add(&self, number: u32) -> Result<Vec<Cost>> {
        Self::call("setup", number)
    }

    fn del(&self, number: u32) -> Result<Vec<Cost>> {
        Self::call("teardown", number)
    }
}

fn conf(number: u32) -> Value {
    let address = format!("10.88.{}.{}", 1 + number / 200, 2 + number % 200);
    let mapping = |port: u32, inner: u32| {
        json!({ "host_ip": "", "host_port": port, "container_port": inner, "protocol": "tcp",
                "range": 1 })
    };
    let [http, https] = ports(number);
    let id = namespaces::id(number).repeat(12);
    json!({
        "container_id": id,
        "container_name": namespaces::id(number),
        "port_mappings": [mapping(http, 80), mapping(https, 443)],
        "networks": { "load": { "static_ips": [address], "interface_name": "eth0" } },
        "network_info": { "load": {
            "name": "load", "id": "10ad".repeat(16), "driver": "bridge",
            "network_interface": "load0",
            "subnets": [{ "subnet": "10.88.0.0/16", "gateway": "10.88.0.1" }],
            "ipv6_enabled": false, "internal": false, "dns_enabled": false,
            "ipam_options": { "driver": "host-local" },
        } },
    })
}
