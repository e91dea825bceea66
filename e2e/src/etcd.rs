//! A real etcd on a host of the lab, and `etcdctl` beside it.

mod follower;
mod gateway;
mod member;
mod secrets;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::Value;

use crate::command::Output;
use crate::host::Host;
use crate::place::Place as _;
use crate::wait::{PATIENCE, wait_until};
pub use follower::Follower;
pub use gateway::Stored;
use member::Member;

/// flannel's prefix where nothing else is said.
pub const PREFIX: &str = "/coreos.com/network";

/// A lease as flanneld writes it, of a host that does not exist, at 192.0.2.77.
pub const FOREIGN: &str = r#"{"PublicIP":"192.0.2.77","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}"#;

/// How long members miss their leader before they choose another one.
pub const ELECTION: Duration = Duration::from_millis(500);

/// Where a backup of it is.
const SNAPSHOT: &str = "/var/lib/etcd-snapshot";

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
        Self::with(&[(host, address)], ELECTION, false)
    }

    /// The same with a member on each of these hosts' addresses, who choose another leader once they
    /// have missed it for so long. `etcdctl` is on the first.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn cluster(members: &[(&Host, IpAddr)], election: Duration) -> Result<Self> {
        Self::with(members, election, false)
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
        let etcd = Self::with(&[(host, address)], ELECTION, true)?;
        etcd.make_users()?;
        Ok(etcd)
    }

    fn with(places: &[(&Host, IpAddr)], election: Duration, secured: bool) -> Result<Self> {
        let (host, _) = places.first().context("a member")?;
        let all: Vec<IpAddr> = places.iter().map(|(_, address)| *address).collect();
        let start = |place: &(&Host, IpAddr)| Member::start(*place, &all, election, secured);
        let members = places.iter().map(start).collect::<Result<Vec<Member>>>()?;
        let urls: Vec<&str> = members.iter().map(Member::url).collect();
        let etcd = Self { host: (*host).clone(), url: urls.join(","), members, secured };
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
        let members = self.members.iter().filter(|member| member.runs());
        members.map(|member| member.received(method)).sum()
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

    /// Starts it after [`Self::kill`] on an empty disk, with its users where it has some.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn begin_anew(&mut self) -> Result<()> {
        self.forget()?;
        self.resume()?;
        self.make_users()
    }

    /// Writes all it has to a file of its host ([`Self::begin_from_backup`]).
    ///
    /// # Errors
    ///
    /// As [`Self::ctl`].
    pub fn save(&self) -> Result<()> {
        self.ctl(&["snapshot", "save", SNAPSHOT]).map(drop)
    }

    /// Starts it after [`Self::kill`] with what it had at [`Self::save`].
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn begin_from_backup(&mut self) -> Result<()> {
        self.forget()?;
        for member in &self.members {
            self.ctl(&member.restore(SNAPSHOT))?;
        }
        self.resume()
    }

    fn forget(&self) -> Result<()> {
        self.host.sh("rm -r /var/lib/etcd/*").map(drop)
    }

    fn make_users(&self) -> Result<()> {
        let users = secrets::USERS.iter().filter(|_| self.secured);
        users.copied().try_for_each(|words| self.ctl(words).map(drop))
    }

    /// How many changes it has seen.
    ///
    /// # Errors
    ///
    /// As [`Self::ctl`].
    pub fn revision(&self) -> Result<i64> {
        let shown = self.ctl(&["get", "/", "-w", "json"])?.json()?;
        shown.pointer("/header/revision").and_then(Value::as_i64).context("a revision")
    }

    /// Writes what concerns nobody until it has seen more changes than so many.
    ///
    /// # Errors
    ///
    /// As [`Self::ctl`].
    pub fn pass(&self, revision: i64) -> Result<()> {
        while self.revision()? <= revision {
            self.ctl(&["put", "/unrelated", "x"])?;
        }
        Ok(())
    }

    /// Starts it again after [`Self::kill`], and waits until it serves.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn resume(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(Member::run)?;
        self.wait()
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
