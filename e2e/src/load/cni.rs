//! Attachments by CNI plugins: `bridge` with `host-local`, `portmap` with two ports, `firewall`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::child::{self, Cost};
use super::{Attach, namespaces, ports};

/// The name of the network, and of its directories of reservations and records.
pub const NETWORK: &str = "load";

/// The chain's plugins.
pub const PLUGINS: [&str; 3] = ["bridge", "portmap", "firewall"];

/// A directory of plugins, and the attachments they made.
#[derive(Debug)]
pub struct Cni {
    dir: String,
    version: String,
    attached: Mutex<Attached>,
}

#[derive(Debug, Default)]
struct Attached {
    results: BTreeMap<u32, Value>,
    addresses: BTreeMap<String, u32>,
}

impl Cni {
    /// Plugins in `dir`, called with this `cniVersion`.
    #[must_use]
    pub fn new(dir: &str, version: &str) -> Self {
        Self { dir: dir.to_owned(), version: version.to_owned(), attached: Mutex::default() }
    }

    /// CHECK through the chain.
    ///
    /// # Errors
    ///
    /// When a plugin finds something amiss.
    pub fn check(&self, number: u32) -> Result<()> {
        let result = self.result(number)?;
        PLUGINS.iter().try_for_each(|p| self.call("CHECK", p, number, &result).map(drop))
    }

    /// GC through the chain; the attachments that were added and not deleted are the valid ones.
    ///
    /// # Errors
    ///
    /// When a plugin fails.
    pub fn gc(&self) -> Result<()> {
        let valid: Vec<Value> = self
            .lock()
            .results
            .keys()
            .map(|n| json!({"containerID": namespaces::id(*n), "ifname": "eth0"}))
            .collect();
        for plugin in PLUGINS {
            let mut conf = self.conf(plugin, None);
            if let Some(conf) = conf.as_object_mut() {
                conf.insert("cni.dev/valid-attachments".to_owned(), json!(valid));
            }
            self.run(plugin, "GC", None, &conf)?;
        }
        Ok(())
    }

    /// The command line, environment and standard input of a call, without running it.
    ///
    /// # Errors
    ///
    /// When DEL or CHECK is asked of what was never added.
    pub fn prepare(
        &self,
        verb: &str,
        plugin: &str,
        number: u32,
        prev: &Value,
    ) -> (Vec<(&'static str, String)>, String, String) {
        let mut conf = self.conf(plugin, Some(number));
        if let (Some(conf), false) = (conf.as_object_mut(), prev.is_null()) {
            conf.insert("prevResult".to_owned(), prev.clone());
        }
        let program = format!("{}/{plugin}", self.dir);
        (self.environment(verb, Some(number)), program, conf.to_string())
    }

    /// Remembers the result of an attachment, whose address nobody else may have.
    ///
    /// # Errors
    ///
    /// When another attachment has that address.
    pub fn keep(&self, number: u32, result: Value) -> Result<()> {
        let address = result.pointer("/ips/0/address").and_then(Value::as_str);
        let address = address.with_context(|| format!("no address in {result}"))?.to_owned();
        let mut attached = self.lock();
        if let Some(other) = attached.addresses.insert(address.clone(), number) {
            ensure!(other == number, "{address} was given to {other} and to {number}");
        }
        attached.results.insert(number, result);
        Ok(())
    }

    /// The result of an attachment.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn result(&self, number: u32) -> Result<Value> {
        self.lock().results.get(&number).cloned().with_context(|| format!("{number} not added"))
    }

    /// Forgets an attachment: its address is free from here on.
    pub fn forget(&self, number: u32) {
        let mut attached = self.lock();
        attached.results.remove(&number);
        attached.addresses.retain(|_, holder| *holder != number);
    }

    fn call(&self, verb: &str, plugin: &str, number: u32, prev: &Value) -> Result<(Value, Cost)> {
        let (_, _, conf) = self.prepare(verb, plugin, number, prev);
        let conf: Value = serde_json::from_str(&conf)?;
        self.run(plugin, verb, Some(number), &conf)
    }

    fn run(
        &self,
        plugin: &str,
        verb: &str,
        number: Option<u32>,
        conf: &Value,
    ) -> Result<(Value, Cost)> {
        let mut command = Command::new(format!("{}/{plugin}", self.dir));
        command.env_clear().envs(self.environment(verb, number));
        let ran = child::run(&mut command, conf.to_string().as_bytes())?;
        let result = if ran.stdout.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&ran.stdout).context("parse a result")?
        };
        Ok((result, ran.cost))
    }

    fn environment(&self, verb: &str, number: Option<u32>) -> Vec<(&'static str, String)> {
        let mut vars = vec![
            ("PATH", crate::command::PATH.to_owned()),
            ("CNI_COMMAND", verb.to_owned()),
            ("CNI_PATH", self.dir.clone()),
        ];
        if let Some(number) = number {
            vars.push(("CNI_CONTAINERID", namespaces::id(number)));
            vars.push(("CNI_NETNS", namespaces::path(number).display().to_string()));
            vars.push(("CNI_IFNAME", "eth0".to_owned()));
        }
        vars
    }

    fn conf(&self, plugin: &str, number: Option<u32>) -> Value {
        let mut conf = match plugin {
            "bridge" => json!({ "bridge": "load0", "isDefaultGateway": true, "ipMasq": true,
                "hairpinMode": true,
                "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.88.0.0/16" }]] } }),
            "portmap" => number.map_or(json!({}), |number| {
                let [http, https] = ports(number);
                json!({ "runtimeConfig": { "portMappings": [
                    { "hostPort": http, "containerPort": 80, "protocol": "tcp" },
                    { "hostPort": https, "containerPort": 443, "protocol": "tcp" } ] } })
            }),
            _ => json!({}),
        };
        if let Some(conf) = conf.as_object_mut() {
            conf.insert("cniVersion".to_owned(), json!(self.version));
            conf.insert("name".to_owned(), json!(NETWORK));
            conf.insert("type".to_owned(), json!(plugin));
        }
        conf
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Attached> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attach for Cni {
    fn add(&self, number: u32) -> Result<Vec<Cost>> {
        let (mut prev, mut costs) = (Value::Null, Vec::new());
        for plugin in PLUGINS {
            let (result, cost) = self.call("ADD", plugin, number, &prev)?;
            prev = result;
            costs.push(cost);
        }
        self.keep(number, prev)?;
        Ok(costs)
    }

    fn del(&self, number: u32) -> Result<Vec<Cost>> {
        let prev = self.result(number).unwrap_or_default();
        self.forget(number);
        let mut costs = Vec::new();
        for plugin in PLUGINS.iter().rev() {
            costs.push(self.call("DEL", plugin, number, &prev)?.1);
        }
        costs.reverse();
        Ok(costs)
    }
}
