//! The process that is cut.

use anyhow::{Context as _, Result};
use e2e::{Command, NETD, PATIENCE, Place as _};

use crate::point::Cut;
use crate::site::Site;

/// The program of profile `inject`.
pub(crate) const INJECT: &str = "/opt/inject/netd";
/// From when there is such a file on, places count.
pub(crate) const ARMED: &str = "/run/kill/armed";
/// What strace says.
pub(crate) const TRACE: &str = "/run/kill/trace";
/// What the agent writes, and the directories that is in.
pub(crate) const FILES: [&str; 32] = [
    "/var/lib/netd",
    "/var/lib/netd/lock",
    "/var/lib/netd/netd.redb",
    "/var/lib/netd/.netd.redb.new",
    "/var/lib/netd/networks.redb",
    "/var/lib/netd/.networks.redb.new",
    "/run/netd",
    "/run/netd/attach.sock",
    "/run/netd/.attach.sock.new",
    "/run/netd/netd.sock",
    "/run/netd/.netd.sock.new",
    "/run/netd/net.d",
    "/run/netd/net.d/bridge.conflist",
    "/run/netd/net.d/.bridge.conflist.new",
    "/run/netd/net.d/host.conflist",
    "/run/netd/net.d/.host.conflist.new",
    "/run/netd/net.d/none.conflist",
    "/run/netd/net.d/.none.conflist.new",
    "/run/flannel",
    "/run/flannel/subnet.env",
    "/run/flannel/.subnet.env.new",
    "/run/flannel/networks",
    "/run/flannel/networks/blue.env",
    "/run/flannel/networks/.blue.env.new",
    "/run/flannel/networks/green.env",
    "/run/flannel/networks/.green.env.new",
    "/etc/cni/net.d/10-netd.conflist",
    "/etc/cni/net.d/.10-netd.conflist.new",
    "/etc/cni/net.d/10-netd-blue.conflist",
    "/etc/cni/net.d/.10-netd-blue.conflist.new",
    "/etc/cni/net.d/10-netd-green.conflist",
    "/etc/cni/net.d/.10-netd-green.conflist.new",
];

/// The key of encrypted overlays, which is cut where that of WireGuard is, by `cluster/wgkey.rs`: a start goes on
/// without it, so that it is no part of what a host is to have here.
pub(crate) const KEY: [&str; 2] =
    ["/var/lib/netd/overlay-wgkey", "/var/lib/netd/.overlay-wgkey.new"];

impl Site {
    /// Runs a command of netd's in place of what ran.
    pub(crate) fn run(&mut self, command: &str, cut: &Cut) -> Result<()> {
        self.agent = None;
        let entry = match cut {
            Cut::Nothing => self.host.command(&[NETD]),
            Cut::Inject(wish) => self.host.command(&["env"]).args([
                &format!("NETD_INJECT={wish}"),
                &format!("NETD_INJECT_FROM={ARMED}"),
                INJECT,
            ]),
            Cut::Strace(options) => {
                // Not its parent, so that what is killed and waited for is the agent.
                strace(self.host.command(&["strace", "-D"]), options).arg(NETD)
            }
        };
        self.agent = Some(entry.arg(command).args(&self.options).spawn("netd")?);
        Ok(())
    }

    /// Traces the main thread of the agent that runs.
    pub(crate) fn attach(&mut self, options: &[String]) -> Result<()> {
        let pid = self.agent.as_ref().context("an agent")?.pid().as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let inside = inside.and_then(|line| line.split_whitespace().last()).context("its pid")?;
        let strace = strace(self.host.command(&["strace", "-p", inside]), options);
        let mut strace = strace.spawn("strace")?;
        strace.wait_for_log(" attached", PATIENCE)?;
        self.strace = Some(strace);
        Ok(())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.agent.as_mut().is_none_or(|agent| !agent.is_alive())
    }

    /// What the process has said.
    pub(crate) fn log(&self) -> String {
        self.agent.as_ref().map(|agent| agent.log()).unwrap_or_default()
    }
}

/// A command by strace, with these options of a cut.
fn strace(command: Command, options: &[String]) -> Command {
    command.args(["-o", TRACE]).args(options)
}
