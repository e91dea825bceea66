//! Who leads, and members that do not: one may lag behind the others.

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::Value;

use super::Etcd;
use super::member::Member;
use crate::host::Host;
use crate::place::Place as _;

/// A member that does not lead.
#[derive(Debug)]
pub struct Follower<'a> {
    pub(super) etcd: &'a Etcd,
    pub(super) member: &'a Member,
}

impl Follower<'_> {
    /// Its host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.member.host
    }

    /// Where hosts reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        self.member.url()
    }

    /// URLs of the other members.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.etcd.members.iter().map(Member::url).filter(|url| *url != self.member.url())
    }

    /// How many messages of a gRPC method clients have sent to it.
    ///
    /// # Errors
    ///
    /// When it does not show its counters.
    pub fn received(&self, method: &str) -> Result<u64> {
        self.member.received(method)
    }

    /// How many changes it has seen itself, whatever the others have.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn revision(&self) -> Result<i64> {
        let url = self.member.url();
        let words = ["etcdctl", "--endpoints", url, "get", "/", "--consistency=s", "-w", "json"];
        let shown = self.etcd.host.command(&words).env("ETCDCTL_API", "3").run()?.json()?;
        shown.pointer("/header/revision").and_then(Value::as_i64).context("a revision")
    }

    /// Stops it in its tracks ([`Signal::STOP`]) or lets it go on ([`Signal::CONT`]).
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.member.signal(signal)
    }
}

impl Etcd {
    /// Kills the member that leads.
    ///
    /// # Errors
    ///
    /// When none leads.
    pub fn kill_leader(&mut self) -> Result<()> {
        let leader = self.leader()?;
        let member = self.members.iter_mut().find(|member| member.url() == leader);
        member.context("a member at the leader's URL")?.kill()
    }

    /// The URL of the last of the members that do not lead.
    ///
    /// # Errors
    ///
    /// When none leads, or there is no other.
    pub fn who_follows(&self) -> Result<String> {
        let leader = self.leader()?;
        let url = self.members.iter().map(Member::url).rfind(|url| *url != leader);
        url.map(str::to_owned).context("a member that does not lead")
    }

    /// The member at a URL, which does not lead.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn follower(&self, url: &str) -> Result<Follower<'_>> {
        let member = self.members.iter().find(|member| member.url() == url);
        Ok(Follower { etcd: self, member: member.context("a member at the URL")? })
    }

    /// Lets `etcdctl`, and hosts that are told of the store from now on, do without a member.
    pub fn leave_out(&mut self, url: &str) {
        let others: Vec<&str> = self.url.split(',').filter(|other| *other != url).collect();
        self.url = others.join(",");
    }

    /// The URL of the member that leads.
    fn leader(&self) -> Result<String> {
        let status = self.ctl(&["endpoint", "status", "-w", "json"])?.json()?;
        let of = |entry: &Value, path: &str| entry.pointer(path).cloned();
        let mut entries = status.as_array().context("a list")?.iter();
        let leads =
            |entry: &&Value| of(entry, "/Status/leader") == of(entry, "/Status/header/member_id");
        let url = entries.find(leads).and_then(|entry| entry.get("Endpoint")?.as_str());
        url.map(str::to_owned).with_context(|| format!("a leader in {status}"))
    }
}
