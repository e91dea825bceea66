//! The commands of backend `extension`: run one after the other, as flannel runs them.
//!
//! They are root's, and their text is the store's: without `--extension-shell` no shell reads it.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};

use cni::ErrorChain;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::AgentError;
use super::start::Started;
use crate::backend::{Hook, Overlay, extension};
use crate::config::network::NetworkConfig;
use crate::lease::{ClusterEvent, LeaseValue, Peer, SubnetKey};

/// What a command is told by variables.
type Env = BTreeMap<String, String>;

/// The commands on this host.
#[derive(Debug, Clone)]
pub(super) struct Hooks {
    pub(super) conf: extension::Conf,
    /// A shell reads them.
    pub(super) shell: bool,
}

impl Hooks {
    /// The first command, if there is one, and what it prints.
    ///
    /// # Errors
    /// Where it fails.
    pub(super) async fn before(&self) -> Result<Option<String>, AgentError> {
        self.run(Hook::PreStartup, Env::new(), String::new()).await
    }

    /// What follows the lease.
    ///
    /// # Errors
    /// Where it fails.
    pub(super) async fn after(&self, started: &Started) -> Result<(), AgentError> {
        let held = &started.force.held;
        let mut env = of_host(&held.subnet, &held.value);
        env.insert("NETWORK".to_owned(), started.force.config.network.to_string());
        self.run(Hook::PostStartup, env, String::new()).await.map(drop)
    }

    /// What takes back all the others have done; gives what it prints, if there is such a command.
    ///
    /// # Errors
    /// Where it fails.
    pub(super) async fn shutdown(
        &self,
        config: &NetworkConfig,
        subnet: &SubnetKey,
        value: &LeaseValue,
    ) -> Result<Option<String>, AgentError> {
        let mut env = of_host(subnet, value);
        env.insert("NETWORK".to_owned(), config.network.to_string());
        self.run(Hook::Shutdown, env, String::new()).await
    }

    /// Runs a command for each host that comes, changes or goes, in the order of the events. What
    /// fails is logged, and not tried again.
    pub(super) async fn follow(
        self,
        overlay: Overlay,
        mut events: mpsc::UnboundedReceiver<ClusterEvent>,
    ) {
        let mut known = BTreeMap::new();
        while let Some(event) = events.recv().await {
            let (gone, come) = news(&mut known, event);
            let peers = gone.into_iter().map(|peer| (Hook::SubnetRemove, peer));
            for (hook, peer) in peers.chain(come.into_iter().map(|peer| (Hook::SubnetAdd, peer))) {
                // The loop tells why it cannot be used.
                if overlay.peer(&peer, &mut |_| false).is_ok() {
                    self.about(hook, &peer).await;
                }
            }
        }
    }

    async fn about(&self, hook: Hook, peer: &Peer) {
        let data = match &peer.value.backend_data {
            None => "",
            Some(data) => match data.as_str() {
                Some(text) => text,
                None => {
                    return tracing::error!(subnet = %peer.subnet, "BackendData is no string");
                }
            },
        };
        let env = of_host(&peer.subnet, &peer.value);
        if let Err(error) = self.run(hook, env, data.to_owned()).await {
            let error = ErrorChain(&error);
            tracing::error!(subnet = %peer.subnet, host = %peer.value.public_ip, %error, "extension");
        }
    }

    /// Runs a command; gives what it prints, both ways together, without blanks around it.
    async fn run(&self, hook: Hook, env: Env, input: String) -> Result<Option<String>, AgentError> {
        let mut all: Env = std::env::vars().collect();
        all.extend(env.clone());
        let words = self.conf.words(hook, self.shell, &all);
        let Some((program, args)) = words.split_first() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(args).envs(&env);
        let ran = spawn_blocking(move || converse(command, &input)).await;
        let ran = ran.map_err(io::Error::other).and_then(|ran| ran);
        let output = ran.map_err(|source| AgentError::Hook { key: hook.key(), source })?;
        tracing::info!(key = hook.key(), command = words.join(" "), %output, "ran a command");
        Ok(Some(output))
    }
}

/// Who is gone and who has come or changed since the last event.
fn news(known: &mut BTreeMap<SubnetKey, Peer>, event: ClusterEvent) -> (Vec<Peer>, Vec<Peer>) {
    match event {
        ClusterEvent::Reset(view) => {
            let before = std::mem::replace(known, view.peers);
            let gone = before.iter().filter(|(key, _)| !known.contains_key(key));
            let come = known.iter().filter(|(key, peer)| {
                before.get(key).is_none_or(|before| before.value != peer.value)
            });
            (gone.map(|(_, p)| p.clone()).collect(), come.map(|(_, p)| p.clone()).collect())
        }
        ClusterEvent::Put(peer) => {
            let before = known.insert(peer.subnet, peer.clone());
            let is_news = before.is_none_or(|before| before.value != peer.value);
            (Vec::new(), is_news.then_some(peer).into_iter().collect())
        }
        ClusterEvent::Deleted(key) => (known.remove(&key).into_iter().collect(), Vec::new()),
        ClusterEvent::Replaced { old, new } => {
            let gone = known.remove(&old).into_iter().collect();
            known.insert(new.subnet, new.clone());
            (gone, vec![new])
        }
        ClusterEvent::Store(_) | ClusterEvent::Malformed { .. } => (Vec::new(), Vec::new()),
    }
}

fn of_host(subnet: &SubnetKey, value: &LeaseValue) -> Env {
    let v6 = subnet.v6.map(|net| ("IPV6SUBNET", net.to_string()));
    let public_v6 = value.public_ipv6.map(|ip| ("PUBLIC_IPV6", ip.to_string()));
    let v4 = [("SUBNET", subnet.v4.to_string()), ("PUBLIC_IP", value.public_ip.to_string())];
    let all = v4.into_iter().chain(v6).chain(public_v6);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Runs to the end; `input` and a line's end are its standard input.
fn converse(mut command: Command, input: &str) -> io::Result<String> {
    let (mut reader, writer) = io::pipe()?;
    command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // With it the last writer on this side goes.
    drop(command);
    let stdin = child.stdin.take();
    let line = format!("{input}\n");
    let output = std::thread::scope(|scope| {
        // Who does not read it closes it, which is no fault.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(line.as_bytes())));
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).trim().to_owned())
    })?;
    let status = child.wait()?;
    if status.success() { Ok(output) } else { Err(io::Error::other(format!("{status}: {output}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn a_command_reads_its_line_and_what_it_prints_comes_together() {
        let ran = converse(shell("read -r a; echo \"$a\"; echo two >&2"), "one").unwrap();
        assert_eq!(ran, "one\ntwo");
        assert_eq!(converse(shell("exec <&-; echo done"), &"x".repeat(1 << 20)).unwrap(), "done");
        let failed = converse(shell("echo why; exit 3"), "").unwrap_err().to_string();
        assert!(failed.contains("3") && failed.contains("why"), "{failed}");
    }

    #[test]
    fn each_host_is_told_of_once() {
        let peer = |n: u8, ip: &str| {
            let subnet = format!("10.5.{n}.0-24").parse().unwrap();
            Peer { subnet, value: LeaseValue::new(ip.parse().unwrap()), revision: 1 }
        };
        let mut known = BTreeMap::new();
        let mut told = |event| {
            let (gone, come) = news(&mut known, event);
            (gone.len(), come.len())
        };
        assert_eq!(told(ClusterEvent::Put(peer(1, "192.0.2.1"))), (0, 1));
        assert_eq!(told(ClusterEvent::Put(peer(1, "192.0.2.1"))), (0, 0));
        assert_eq!(told(ClusterEvent::Put(peer(1, "192.0.2.2"))), (0, 1));
        let peers = [peer(1, "192.0.2.2"), peer(2, "192.0.2.9")];
        let peers = peers.map(|peer| (peer.subnet, peer)).into();
        assert_eq!(told(ClusterEvent::Reset(crate::lease::ClusterView { peers })), (0, 1));
        let none = crate::lease::ClusterView::default();
        assert_eq!(told(ClusterEvent::Reset(none)), (2, 0));
    }
}
