//! A host that runs the agent, as a unit of systemd would.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Pid;
use serde_json::{Value, json};

use crate::bins;
use crate::cni::{Chain, Cni};
use crate::etcd::Etcd;
use crate::host::{Container, Host};
use crate::place::Place as _;
use crate::plugin_set::PluginSet;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_for, wait_until};

/// Where the program is on hosts.
pub const NETD: &str = "/opt/netd";
/// Where the agent writes its subnet.
pub const SUBNET_ENV: &str = "/run/flannel/subnet.env";

const HEALTH: &str = "127.0.0.1:8081";

/// A host that runs the agent.
#[derive(Debug)]
pub struct Node {
    /// The host.
    pub host: Host,
    options: Vec<String>,
    agent: Option<Process>,
}

/// A container on a node's subnet.
#[derive(Debug)]
pub struct Member {
    /// The container.
    pub container: Container,
    /// Its address.
    pub ip: IpAddr,
    chain: Chain,
}

impl Node {
    /// Puts plugins and the agent on a host, and starts the agent with options of flanneld's.
    ///
    /// # Errors
    ///
    /// When they are not built.
    pub fn start(host: &Host, etcd: &Etcd, options: &[&str]) -> Result<Self> {
        PluginSet::Ours.install(host)?;
        host.copy_program(&bins::program("netd")?, NETD)?;
        let mut all = etcd.flags(host)?;
        all.extend(["-healthz-ip=127.0.0.1", "-healthz-port=8081"].map(str::to_owned));
        all.extend(options.iter().map(|option| (*option).to_owned()));
        let mut node = Self { host: host.clone(), options: all, agent: None };
        node.resume()?;
        Ok(node)
    }

    /// Starts the agent again, after [`Self::stop`] or [`Self::kill`].
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn resume(&mut self) -> Result<()> {
        self.run(NETD, &[])
    }

    /// The same with another program, and variables.
    ///
    /// # Errors
    ///
    /// As [`Self::resume`].
    pub fn run(&mut self, program: &str, variables: &[(&str, &str)]) -> Result<()> {
        let mut command = self.host.command(&[program]).args(&self.options);
        for (name, value) in variables {
            command = command.env(name, value);
        }
        self.agent = Some(command.spawn("netd")?);
        Ok(())
    }

    /// Whether the agent runs.
    pub fn is_alive(&mut self) -> bool {
        self.agent.as_mut().is_some_and(Process::is_alive)
    }

    /// The agent.
    ///
    /// # Errors
    ///
    /// When it is stopped.
    pub fn agent(&mut self) -> Result<&mut Process> {
        self.agent.as_mut().context("the agent is stopped")
    }

    /// The agent's process.
    ///
    /// # Errors
    ///
    /// When it is stopped.
    pub fn pid(&self) -> Result<Pid> {
        Ok(self.agent.as_ref().context("the agent is stopped")?.pid())
    }

    /// Asks the agent to end, and gives its exit status.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub fn stop(&mut self) -> Result<i32> {
        self.agent.take().context("the agent is stopped")?.stop()
    }

    /// Kills the agent.
    pub fn kill(&mut self) {
        self.agent = None;
    }

    /// Waits until the agent says that it is ready.
    ///
    /// # Errors
    ///
    /// When it ends before, or is not ready within 20 seconds; both show its log.
    pub fn wait_ready(&mut self) -> Result<()> {
        let host = self.host.clone();
        let what = format!("{} is ready", host.name());
        let agent = self.agent()?;
        let mut ended = false;
        let waited = wait_until(&what, PATIENCE, || {
            ended = !agent.is_alive();
            ended || health(&host, "readyz").is_ok_and(|(code, _)| code == 200)
        });
        match waited {
            Ok(()) if !ended => Ok(()),
            Ok(()) => bail!("netd of {what} has ended: {}", agent.log()),
            Err(error) => Err(error).with_context(|| format!("netd: {}", agent.log())),
        }
    }

    /// Asks the agent for `healthz` or `readyz`: status and text.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn health(&self, path: &str) -> Result<(u16, String)> {
        health(&self.host, path)
    }

    /// A value of the node's subnet.env.
    ///
    /// # Errors
    ///
    /// When there is no such file or key.
    pub fn env(&self, key: &str) -> Result<String> {
        let text = self.host.read(SUBNET_ENV)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.map(str::to_owned).with_context(|| format!("{key} in {text:?}"))
    }

    /// The gateway of the node's subnet, and its prefix length.
    ///
    /// # Errors
    ///
    /// As [`Self::env`].
    pub fn subnet(&self) -> Result<(Ipv4Addr, u8)> {
        let text = self.env("FLANNEL_SUBNET")?;
        let (ip, length) = text.split_once('/').context("a prefix length")?;
        Ok((ip.parse()?, length.parse()?))
    }

    /// The key of its lease, below flannel's `subnets/`.
    ///
    /// # Errors
    ///
    /// As [`Self::env`].
    pub fn key(&self) -> Result<String> {
        let (gateway, length) = self.subnet()?;
        Ok(format!("{}-{length}", Ipv4Addr::from(u32::from(gateway) - 1)))
    }

    /// Link-layer address of one of its interfaces.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    pub fn mac(&self, interface: &str) -> Result<String> {
        let shown = self.host.run(&["ip", "-j", "link", "show", "dev", interface])?.json()?;
        let mac = shown.pointer("/0/address").and_then(Value::as_str);
        mac.map(str::to_owned).context("an address in what ip shows")
    }

    /// Attaches a new container with the list that flannel's manifest installs.
    ///
    /// # Errors
    ///
    /// When a plugin fails.
    pub fn add(&self, name: &str) -> Result<Member> {
        self.add_by(name, conflist())
    }

    /// Attaches a new container with this list.
    ///
    /// # Errors
    ///
    /// When a plugin fails.
    pub fn add_by(&self, name: &str, conflist: Value) -> Result<Member> {
        Member::attach(self.host.add_container(name)?, conflist)
    }
}

impl Member {
    /// Attaches a container that is there, with the list that flannel's manifest installs.
    ///
    /// # Errors
    ///
    /// When a plugin fails.
    pub fn of(container: Container) -> Result<Self> {
        Self::attach(container, conflist())
    }

    fn attach(container: Container, conflist: Value) -> Result<Self> {
        let mut chain = Chain::new(conflist);
        let result = chain.add(&Cni::new(&container))?;
        let address = result.pointer("/ips/0/address").and_then(Value::as_str);
        let ip = address.and_then(|text| text.split('/').next()).context("an address")?.parse()?;
        Ok(Self { container, ip, chain })
    }

    /// Detaches it.
    ///
    /// # Errors
    ///
    /// When a plugin fails.
    pub fn del(&self) -> Result<()> {
        self.chain.del(&Cni::new(&self.container))
    }

    /// Waits until it gets an answer to its pings, at most so long.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn wait_to_reach(&self, to: IpAddr, bound: Duration) -> Result<()> {
        wait_for(&format!("{} reaches {to}", self.container.name()), bound, || {
            Ok(crate::probe::pings(&self.container, to)?.then_some(()))
        })
    }
}

/// The list that flannel's manifest for Kubernetes installs, without its ports.
fn conflist() -> Value {
    json!({ "cniVersion": "1.0.0", "name": "cbr0", "plugins": [
        { "type": "flannel", "delegate": { "hairpinMode": true, "isDefaultGateway": true } } ] })
}

fn health(host: &Host, path: &str) -> Result<(u16, String)> {
    let script = format!(
        "exec 3<>/dev/tcp/{}; printf 'GET /{path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; cat <&3",
        HEALTH.replace(':', "/")
    );
    let answer = host.sh(&script)?.stdout;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).with_context(|| format!("an answer in {answer:?}"))
}
