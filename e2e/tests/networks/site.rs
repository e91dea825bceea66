//! A host that serves its networks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, Lab, NETD, Output, PATIENCE, Place as _, Process, bins, networks, wait_until};
use serde_json::Value;

/// A host with an agent that needs no cluster.
pub(crate) struct Site {
    pub(crate) host: Host,
    options: Vec<String>,
    agent: Option<Process>,
}

/// A link, as far as somebody has made it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u64,
    pub(crate) name: String,
    pub(crate) mac: String,
    pub(crate) mtu: u64,
    pub(crate) alias: String,
    pub(crate) up: bool,
}

/// Runs a test with one host.
pub(crate) fn run(test: impl FnOnce(&mut Site) -> Result<()>) -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        test(&mut Site::start(&host, &["--standalone"])?)
    })
}

impl Site {
    /// Starts the agent, and waits until it serves.
    pub(crate) fn start(host: &Host, options: &[&str]) -> Result<Self> {
        host.copy_program(&bins::program("netd")?, NETD)?;
        let fixed = ["--healthz-ip=127.0.0.1", "--healthz-port=8081"];
        let options = options.iter().chain(&fixed).map(|option| (*option).to_owned()).collect();
        let mut site = Self { host: host.clone(), options, agent: None };
        site.resume()?;
        Ok(site)
    }

    /// Starts the agent again, after [`Self::stop`] or [`Self::kill`].
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.run(NETD, &[])
    }

    /// The same with another program, and variables.
    pub(crate) fn run(&mut self, program: &str, variables: &[(&str, &str)]) -> Result<()> {
        let mut command = self.host.command(&[program, "run"]).args(&self.options);
        for (name, value) in variables {
            command = command.env(name, value);
        }
        let agent = command.spawn("netd")?;
        let agent = self.agent.insert(agent);
        let host = &self.host;
        let listing = || host.command(&[NETD, "network", "ls"]).output();
        let served =
            wait_until("networks are served", PATIENCE, || listing().is_ok_and(|o| o.code == 0));
        served.with_context(|| agent.log())
    }

    /// The agent's process, as the test sees it.
    pub(crate) fn pid(&self) -> Result<rustix::process::Pid> {
        Ok(self.agent.as_ref().context("the agent is stopped")?.pid())
    }

    /// What the agent has said.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(self.agent.as_ref().context("the agent is stopped")?.log())
    }

    /// Whether the agent runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.agent.as_mut().is_some_and(Process::is_alive)
    }

    /// Asks the agent to end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let code = self.agent.take().context("the agent is stopped")?.stop()?;
        ensure!(code == 0, "exit status {code}");
        Ok(())
    }

    /// Kills the agent.
    pub(crate) fn kill(&mut self) {
        self.agent = None;
    }

    /// `netd network` with these words, whatever its exit status.
    pub(crate) fn network(&self, words: &[&str]) -> Result<Output> {
        networks::network(&self.host, words)
    }

    /// The same, which must succeed; its standard output without the last line's end.
    pub(crate) fn done(&self, words: &[&str]) -> Result<String> {
        networks::done(&self.host, words)
    }

    /// The same, which must fail: status 1 and what it says.
    pub(crate) fn refused(&self, words: &[&str]) -> Result<String> {
        networks::refused(&self.host, words)
    }

    /// What `inspect` shows of one network.
    pub(crate) fn inspect(&self, word: &str) -> Result<Value> {
        networks::inspect(&self.host, word)
    }

    /// The first subnet of a network.
    pub(crate) fn subnet(&self, word: &str) -> Result<String> {
        self.done(&["inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", word])
    }

    /// The gateway in it.
    pub(crate) fn gateway(&self, word: &str) -> Result<String> {
        self.done(&["inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", word])
    }

    /// Of each family of a network its subnet and the gateway in it, IPv4 first.
    pub(crate) fn subnets(&self, word: &str) -> Result<Vec<(String, String)>> {
        let format = "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{end}}";
        let shown = self.done(&["inspect", "-f", format, word])?;
        let words: Vec<&str> = shown.split_whitespace().collect();
        let pair = |pair: &[&str]| Some(((*pair.first()?).to_owned(), (*pair.get(1)?).to_owned()));
        Ok(words.chunks(2).filter_map(pair).collect())
    }

    /// The bridges of networks that the kernel has, by their names, with their addresses.
    pub(crate) fn bridges(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let links =
            self.host.run(&["ip", "-d", "-j", "address", "show", "type", "bridge"])?.json()?;
        let mut bridges = BTreeMap::new();
        for link in links.as_array().into_iter().flatten() {
            // iproute2 prints {} for what it leaves out.
            let Some(name) = link.get("ifname").and_then(Value::as_str) else { continue };
            let alias = link.get("ifalias").and_then(Value::as_str).unwrap_or_default();
            if !alias.starts_with("netd:network:") {
                continue;
            }
            let addresses = link.get("addr_info").and_then(Value::as_array).into_iter().flatten();
            let global = addresses.filter(|address| address["scope"] == "global");
            let text = |address: &Value| {
                Some(format!("{}/{}", address["local"].as_str()?, address["prefixlen"]))
            };
            bridges.insert(name.to_owned(), global.filter_map(text).collect());
        }
        Ok(bridges)
    }

    /// All links: index, name, link-layer address, MTU, alias, and whether each is up. The operational
    /// state, which follows later, is left out.
    pub(crate) fn links(&self) -> Result<Vec<Link>> {
        let links = self.host.run(&["ip", "-d", "-j", "link"])?.json()?;
        let text = |link: &Value, key: &str| link[key].as_str().unwrap_or_default().to_owned();
        let is_up = |link: &Value| {
            link["flags"].as_array().is_some_and(|flags| flags.contains(&Value::from("UP")))
        };
        let links = links.as_array().into_iter().flatten();
        Ok(links
            .map(|link| Link {
                index: link["ifindex"].as_u64().unwrap_or_default(),
                name: text(link, "ifname"),
                mac: text(link, "address"),
                mtu: link["mtu"].as_u64().unwrap_or_default(),
                alias: text(link, "ifalias"),
                up: is_up(link),
            })
            .collect())
    }

    /// What there should be in [`Self::bridges`], by what `inspect` shows of the user's networks.
    pub(crate) fn shown_bridges(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let format = "br-{{.ID}}";
        let custom = ["ls", "--filter", "type=custom", "--filter", "driver=bridge"];
        let names = self.done(&[&custom[..], &["--format", format]].concat())?;
        let mut bridges = BTreeMap::new();
        for name in names.lines() {
            let shown = self.inspect(name.trim_start_matches("br-"))?;
            let subnets = shown.pointer("/IPAM/Config").and_then(Value::as_array);
            let address = |subnet: &Value| {
                let length = subnet["Subnet"].as_str()?.split_once('/')?.1;
                Some(format!("{}/{length}", subnet["Gateway"].as_str()?))
            };
            let subnets = subnets.into_iter().flatten();
            bridges.insert(name.to_owned(), subnets.filter_map(address).collect());
        }
        Ok(bridges)
    }
}
