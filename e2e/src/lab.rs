//! The lab: hosts and the wires between them, torn down with the test.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::dump;
use crate::host::Host;
use crate::internet::Internet;
use crate::place::Place as _;

/// Hosts made of namespaces, for one test. Tests run side by side: nothing of a lab has a name
/// outside of it but a temporary directory and cgroups, which carry the process id.
#[derive(Debug)]
pub struct Lab {
    name: String,
    dir: TempDir,
    hosts: Mutex<Vec<Host>>,
}

impl Lab {
    /// Runs a test in a new lab. When it fails or panics, the state of every host is printed.
    ///
    /// # Errors
    ///
    /// The error of `test`, or that the lab cannot be made.
    pub fn run(test: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let lab = Self::new()?;
        let outcome = test(&lab);
        if outcome.is_err() {
            dump::print(&lab.name, &lab.hosts());
        }
        outcome
    }

    /// Makes a lab without hosts, named after the thread, which the test harness names after the
    /// test. [`Self::run`] is the better way: this one prints the state of hosts on panics only.
    ///
    /// # Errors
    ///
    /// When its temporary directory cannot be made.
    pub fn new() -> Result<Self> {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("lab").replace("::", "-");
        let dir = tempfile::Builder::new()
            .prefix(&format!("e2e-{name}-{}-", std::process::id()))
            .tempdir()
            .context("make the lab's directory")?;
        Ok(Self { name, dir, hosts: Mutex::default() })
    }

    /// A directory of the machine for the test's files, removed with the lab.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Adds a host; `name` is its host name.
    ///
    /// # Errors
    ///
    /// When its namespaces cannot be made.
    pub fn host(&self, name: &str) -> Result<Host> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("e2e-{}-{number}", std::process::id());
        let host = Host::new(name, cgroup, self.dir.path().join(name))?;
        self.lock().push(host.clone());
        Ok(host)
    }

    /// Adds the internet: see [`Internet`].
    ///
    /// # Errors
    ///
    /// When its host cannot be made.
    pub fn internet(&self) -> Result<Internet> {
        Internet::new(self)
    }

    /// Lays a wire between two hosts: a veth pair, both ends up.
    ///
    /// # Errors
    ///
    /// When an interface of that name exists already.
    pub fn wire(&self, one: &Port, other: &Port) -> Result<()> {
        let peer = other.host.init().as_raw_nonzero().to_string();
        one.ip(&[
            "link",
            "add",
            &one.interface,
            "type",
            "veth",
            "peer",
            "name",
            &other.interface,
            "netns",
            &peer,
        ])?;
        one.configure()?;
        other.configure()
    }

    /// Joins hosts in one Ethernet segment, by a switch `name`, a host of the lab as well.
    ///
    /// # Errors
    ///
    /// As [`Self::wire`].
    pub fn segment(&self, name: &str, ports: &[Port]) -> Result<Host> {
        let switch = self.host(name)?;
        switch.sh("sysctl -qw net.bridge.bridge-nf-call-iptables=0; \
                   ip link add br0 type bridge; ip link set br0 up")?;
        for (number, port) in ports.iter().enumerate() {
            let plug = switch.port(&format!("port{number}"), "");
            self.wire(&plug, port)?;
            switch.run(&["ip", "link", "set", &plug.interface, "master", "br0"])?;
        }
        Ok(switch)
    }

    fn hosts(&self) -> Vec<Host> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Host>> {
        self.hosts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            dump::print(&self.name, &self.hosts());
        }
    }
}

/// An interface to be made on a host, see [`Host::port`].
#[derive(Debug, Clone)]
pub struct Port {
    host: Host,
    interface: String,
    addresses: Vec<String>,
}

impl Port {
    pub(crate) fn new(host: &Host, interface: &str, addresses: &str) -> Self {
        let addresses = addresses.split_whitespace().map(str::to_owned).collect();
        Self { host: host.clone(), interface: interface.to_owned(), addresses }
    }

    /// Runs `ip` in the host's network namespace only, where the process ids of the machine hold.
    fn ip(&self, words: &[&str]) -> Result<()> {
        let net = format!("--net=/proc/{}/ns/net", self.host.init().as_raw_nonzero());
        crate::command::Command::new(
            self.host.name(),
            vec!["nsenter".into(), net.into(), "--".into(), "ip".into()],
            self.host.logs().to_owned(),
        )
        .args(words)
        .run()
        .map(drop)
    }

    fn configure(&self) -> Result<()> {
        let interface = &self.interface;
        let mut script = format!("ip link set {interface} up\n");
        for address in &self.addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            script += &format!("ip addr add {address} dev {interface} {nodad}\n");
        }
        self.host.sh(&script).map(drop)
    }
}
