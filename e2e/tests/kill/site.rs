//! A host with the plugins and their configurations.

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Host, Lab, Place as _, PluginSet, bins};
use serde_json::{Value, json};

use crate::plan::Calls;
use crate::point::{Ground, PLUGINS, Point, Verb};

const SCRIPT: &str = include_str!("../../assets/kill.sh");

/// A host that knows what is to be seen on it when all is well.
pub(crate) struct Site {
    pub(crate) host: Host,
}

impl Site {
    pub(crate) fn new(lab: &Lab, name: &str) -> Result<Self> {
        let host = lab.host(name)?;
        PluginSet::Ours.install(&host)?;
        let inject = bins::injected("plugins")?;
        for name in PLUGINS.into_iter().chain(["host-local"]) {
            host.copy_program(&inject, &format!("/opt/inject/{name}"))?;
        }
        host.write_file("/opt/kill.sh", SCRIPT)?;
        host.sh(
            "ip link add up0 type bridge; ip link set up0 up; ip addr add 192.0.2.10/24 dev up0",
        )?;
        let site = Self { host };
        site.configure(&Value::Null)?;
        // The result of each plugin is what the next one gets, as all names and addresses are fixed.
        let said = site.script(&["add", "bridge"], "ip netns add web")?;
        ensure!(said.is_empty(), "{said}");
        let result = site.host.read("/run/kill/answer")?;
        let result =
            serde_json::from_str(&result).with_context(|| format!("not a result: {result}"))?;
        site.script(&["del", "bridge"], "ip netns del web")?;
        site.configure(&result)?;
        let said = site.script(&["learn"], "true")?;
        ensure!(said.is_empty(), "when nothing is cut: {said}");
        Ok(site)
    }

    /// What each call of the chain does, each time: on a busy machine a run may do more.
    pub(crate) fn calls(&self) -> Result<Calls> {
        let (mut calls, other) = (self.counted()?, self.counted()?);
        calls.retain(|of, count| {
            *count = (*count).min(other.get(of).copied().unwrap_or(0));
            *count > 0
        });
        Ok(calls)
    }

    /// The same, of one run.
    fn counted(&self) -> Result<Calls> {
        let mut calls = Calls::new();
        for line in self.script(&["list"], "true")?.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [ground, verb, plugin, name] = words[..] else { bail!("{line}") };
            let ground = [Ground::Fresh, Ground::Used].into_iter().find(|g| g.word() == ground);
            let verb = [Verb::Add, Verb::Del].into_iter().find(|v| v.word() == verb);
            let plugin = PLUGINS.iter().position(|p| *p == plugin);
            let (Some(ground), Some(verb), Some(plugin)) = (ground, verb, plugin) else {
                bail!("{line}")
            };
            *calls.entry((ground, verb, plugin, name.to_owned())).or_default() += 1;
        }
        Ok(calls)
    }

    /// Tries a point; what is wrong, if anything is.
    pub(crate) fn try_point(&self, point: &Point) -> Result<Option<String>> {
        let words = point.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.script(&words, "true")?;
        let (line, problem) = output.split_once('\n').context("no first line")?;
        if point.was_reached(line) && problem.trim().is_empty() {
            return Ok(None);
        }
        let problem = problem.trim().replace('\n', "\n    ");
        let reached = if point.was_reached(line) { "" } else { " (not reached)" };
        Ok(Some(format!("{point}{reached}: {line}\n    {problem}")))
    }

    /// Runs a function of the script after a command.
    pub(crate) fn script(&self, words: &[&str], before: &str) -> Result<String> {
        let before = format!("{before}; exec bash /opt/kill.sh \"$@\"");
        let command = self.host.command(&["bash", "-euc", &before, "bash"]).args(words);
        Ok(command.run()?.stdout)
    }

    fn configure(&self, result: &Value) -> Result<()> {
        for mut conf in confs() {
            let name = conf["type"].as_str().context("type")?.to_owned();
            conf["cniVersion"] = json!("1.1.0");
            conf["name"] = json!("red");
            let write = |verb: &str, conf: &Value| {
                self.host.write_file(&format!("/run/kill/{name}.{verb}.json"), conf.to_string())
            };
            write("DEL", &conf)?;
            let mut add = conf.clone();
            if name != "bridge" && !result.is_null() {
                add["prevResult"] = result.clone();
            }
            write("ADD", &add)?;
            conf["cni.dev/valid-attachments"] = json!([]);
            write("GC", &conf)?;
        }
        Ok(())
    }
}

fn confs() -> [Value; 3] {
    [
        json!({
            "type": "bridge", "bridge": "red", "isGateway": true, "ipMasq": true,
            "hairpinMode": true,
            "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.1.0.0/24" }]],
                      "routes": [{ "dst": "0.0.0.0/0" }] },
        }),
        json!({
            "type": "portmap", "runtimeConfig": { "portMappings": [
                { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
                { "hostPort": 5353, "containerPort": 53, "protocol": "udp" },
            ]},
        }),
        json!({ "type": "firewall", "ingressPolicy": "same-bridge" }),
    ]
}
