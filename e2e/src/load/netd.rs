//! Attachments by plugin `netd`, which asks the agent for them.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::child::{self, Cost};
use super::work::ROUND;
use super::{Attach, namespaces};

/// The first published port.
const FIRST: u32 = 20_000;

/// A network of the agent's.
#[derive(Debug)]
pub struct Netd {
    dir: String,
    network: String,
    ports: u32,
}

impl Netd {
    /// Network `network`, by the plugin in `dir`. The container of single rounds has `ports` published
    /// ports, others none.
    #[must_use]
    pub fn new(dir: &str, network: &str, ports: u32) -> Self {
        Self { dir: dir.to_owned(), network: network.to_owned(), ports }
    }

    fn call(&self, verb: &str, number: u32) -> Result<Vec<Cost>> {
        let mut command = Command::new(format!("{}/netd", self.dir));
        command.env_clear().env("CNI_COMMAND", verb).env("CNI_PATH", &self.dir);
        command.env("CNI_CONTAINERID", namespaces::id(number)).env("CNI_IFNAME", "eth0");
        command.env("CNI_NETNS", namespaces::path(number));
        let conf = self.conf(if number == ROUND { self.ports } else { 0 });
        Ok(vec![child::run(&mut command, conf.to_string().as_bytes())?.cost])
    }

    fn conf(&self, ports: u32) -> Value {
        let mapping =
            |at| json!({ "hostPort": FIRST + at, "containerPort": 1 + at, "protocol": "tcp" });
        let mappings: Vec<Value> = (0..ports).map(mapping).collect();
        json!({ "cniVersion": "1.0.0", "name": self.network, "type": "netd",
                "runtimeConfig": { "portMappings": mappings } })
    }
}

impl Attach for Netd {
    fn add(&self, number: u32) -> Result<Vec<Cost>> {
        self.call("ADD", number)
    }

    fn del(&self, number: u32) -> Result<Vec<Cost>> {
        self.call("DEL", number)
    }
}
