//! A real etcd on a host of the lab, and `etcdctl` beside it.

mod member;
mod secrets;

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::Value;

use crate::command::Output;
use crate::host::Host;
use crate::place::Place as _;
use crate::wait::{PATIENCE, wait_until};
use member::Member;

/// flannel's prefix where nothing else is said.
pub const PREFIX: &str = "/coreos.com/network";

/// One member or several, their data in the host's memory.
#[derive(Debug)]
pub struct Etcd {
    host: Host,
    url: String,
    members: Vec<Member>,
    secured: bool,
}

impl Etcd {
    /// Starts one member on an address of a host, and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it does not, within 20 seconds.
    pub fn start(host: &Host, address: IpAddr) -> Result<Self> {
        Self::with(host, &[address], false)
    }

    /// The same with one member on each of these addresses of the host.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn cluster(host: &Host, addresses: &[IpAddr]) -> Result<Self> {
        Self::with(host, addresses, false)
    }

    /// The same with one member that speaks TLS only, asks for certificates, and knows two users:
    /// `root`, as whom [`Self::ctl`] works, and `netd`, who may do nothing but read and write below
    /// flannel's prefix.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn secured(host: &Host, address: IpAddr) -> Result<Self> {
        secrets::make(host, address)?;
        let etcd = Self::with(host, &[address], true)?;
        secrets::USERS.iter().try_for_each(|words| etcd.ctl(words).map(drop))?;
        Ok(etcd)
    }

    fn with(host: &Host, addresses: &[IpAddr], secured: bool) -> Result<Self> {
        let members: Result<Vec<Member>> =
            addresses.iter().map(|own| Member::start(host, *own, addresses, secured)).collect();
        let members = members?;
        let urls: Vec<&str> = members.iter().map(Member::url).collect();
        let etcd = Self { host: host.clone(), url: urls.join(","), members, secured };
        etcd.wait()?;
        Ok(etcd)
    }

    /// Where hosts reach it: URLs with commas between.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What an agent is told of it, as flags of flanneld's. Files that these name are copied to the
    /// agent's host.
    ///
    /// # Errors
    ///
    /// When they cannot be copied.
    pub fn flags(&self, to: &Host) -> Result<Vec<String>> {
        let mut flags = vec![format!("-etcd-endpoints={}", self.url)];
        if self.secured {
            flags.extend(secrets::lend(&self.host, to)?);
        }
        Ok(flags)
    }

    /// Runs `etcdctl` with these words.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn ctl(&self, words: &[&str]) -> Result<Output> {
        let mut ctl = self.host.command(&["etcdctl", "--endpoints", &self.url]);
        if self.secured {
            ctl = ctl.args(secrets::CTL);
        }
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

    /// How many messages of a gRPC method clients have sent, by etcd's own count
    /// (`grpc_server_msg_received_total`), over all members that run. Nothing of etcd is asked.
    ///
    /// # Errors
    ///
    /// When a member does not show its counters.
    pub fn received(&self, method: &str) -> Result<u64> {
        let named = format!("grpc_method=\"{method}\"");
        let mut sum = 0;
        for member in self.members.iter().filter(|member| member.runs()) {
            let metrics = member.metrics(&self.host)?;
            let of_method = |line: &&str| {
                line.starts_with("grpc_server_msg_received_total") && line.contains(&named)
            };
            let counts = metrics.lines().filter(of_method).filter_map(|l| l.rsplit(' ').next());
            sum += counts.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        }
        Ok(sum)
    }

    /// Kills it and starts it again on its data.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.kill()?;
        self.resume()
    }

    /// Kills it: whoever asks is refused at once.
    ///
    /// # Errors
    ///
    /// When a member does not end, or is killed already.
    pub fn kill(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(Member::kill)
    }

    /// Removes all its data while it is killed.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn forget(&self) -> Result<()> {
        self.host.sh("rm -r /var/lib/etcd/*").map(drop)
    }

    /// Starts it again after [`Self::kill`], and waits until it serves.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn resume(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(|member| member.run(&self.host))?;
        self.wait()
    }

    /// Kills the member that leads, and gives its URL.
    ///
    /// # Errors
    ///
    /// When none leads.
    pub fn kill_leader(&mut self) -> Result<String> {
        let status = self.ctl(&["endpoint", "status", "-w", "json"])?.json()?;
        let of = |entry: &Value, path: &str| entry.pointer(path).cloned();
        let mut entries = status.as_array().context("a list")?.iter();
        let leads =
            |entry: &&Value| of(entry, "/Status/leader") == of(entry, "/Status/header/member_id");
        let url = entries.find(leads).and_then(|entry| entry.get("Endpoint")?.as_str());
        let url = url.with_context(|| format!("a leader in {status}"))?.to_owned();
        let member = self.members.iter_mut().find(|member| member.url() == url);
        member.context("a member at the leader's URL")?.kill()?;
        Ok(url)
    }

    /// Stops it in its tracks ([`Signal::STOP`]) or lets it go on ([`Signal::CONT`]).
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.members.iter().try_for_each(|member| member.signal(signal))
    }

    fn wait(&self) -> Result<()> {
        wait_until("etcd serves", PATIENCE, || self.ctl(&["endpoint", "health"]).is_ok())
    }
}
