//! A real etcd on a host of the lab, and `etcdctl` beside it.

use std::net::IpAddr;

use anyhow::Result;
use rustix::process::Signal;

use crate::command::Output;
use crate::host::Host;
use crate::place::Place as _;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// flannel's prefix where nothing else is said.
pub const PREFIX: &str = "/coreos.com/network";

/// One member, without TLS and users, its data in the host's memory.
#[derive(Debug)]
pub struct Etcd {
    host: Host,
    url: String,
    process: Process,
}

impl Etcd {
    /// Starts it on an address of a host, and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it does not, within 20 seconds.
    pub fn start(host: &Host, address: IpAddr) -> Result<Self> {
        let url = format!("http://{address}:2379");
        let process = spawn(host, &url)?;
        let etcd = Self { host: host.clone(), url, process };
        etcd.wait()?;
        Ok(etcd)
    }

    /// Where hosts reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs `etcdctl` with these words.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn ctl(&self, words: &[&str]) -> Result<Output> {
        let ctl = self.host.command(&["etcdctl", "--endpoints", &self.url]);
        ctl.env("ETCDCTL_API", "3").args(words).run()
    }

    /// Writes the cluster's network configuration.
    ///
    /// # Errors
    ///
    /// As [`Self::ctl`].
    pub fn configure(&self, json: &str) -> Result<()> {
        self.ctl(&["put", &format!("{PREFIX}/config"), json]).map(drop)
    }

    /// The keys below a prefix with their values, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::ctl`].
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let printed = self.ctl(&["get", "--prefix", prefix])?.stdout;
        let mut lines = printed.lines();
        let mut entries = Vec::new();
        while let (Some(key), Some(value)) = (lines.next(), lines.next()) {
            entries.push((key.to_owned(), value.to_owned()));
        }
        Ok(entries)
    }

    /// Kills it and starts it again on its data.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE)?;
        self.process = spawn(&self.host, &self.url)?;
        self.wait()
    }

    /// Stops it in its tracks ([`Signal::STOP`]) or lets it go on ([`Signal::CONT`]).
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    fn wait(&self) -> Result<()> {
        wait_until("etcd serves", PATIENCE, || self.ctl(&["endpoint", "health"]).is_ok())
    }
}

fn spawn(host: &Host, url: &str) -> Result<Process> {
    let words = [
        "etcd",
        "--data-dir=/var/lib/etcd/data",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--heartbeat-interval=50",
        "--election-timeout=500",
        "--listen-peer-urls=http://127.0.0.1:0",
    ];
    let etcd = host.command(&words);
    etcd.arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .spawn("etcd")
}
