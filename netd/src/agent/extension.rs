//! The commands of backend `extension`: run one after the other, as flannel runs them, each within a
//! bound.
//!
//! They are root's, and their text is the store's: without `--extension-shell` no shell reads it.

mod command;
mod todo;

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::process::Command;
use std::time::Duration;

use cni::ErrorChain;
use tokio::sync::{mpsc, watch};

use super::AgentError;
use super::beside::News;
use super::force::InForce;
use super::standing::Standing;
use crate::backend::{Backend, Hook, Overlay, extension};
use crate::config::network::NetworkConfig;
use crate::lease::{LeaseValue, Peer, SubnetKey};
use command::{LARGEST, Output, converse, excerpt};
use todo::{Next, Todo};

/// What a command is told by variables.
type Env = BTreeMap<String, String>;

/// The commands on this host.
#[derive(Debug, Clone)]
pub(super) struct Hooks {
    pub(super) conf: extension::Conf,
    /// A shell reads them.
    pub(super) shell: bool,
    /// How long one may run.
    pub(super) limit: Duration,
    /// Where one that fails, or takes long, is told; nowhere where no agent runs.
    pub(super) standing: Option<watch::Sender<Standing>>,
}

impl Hooks {
    /// The first command, if there is one, and what it prints.
    ///
    /// # Errors
    /// Where it fails, or prints more than can be published.
    pub(super) async fn before(&self) -> Result<Option<String>, AgentError> {
        let hook = Hook::PreStartup;
        let Some(output) = self.run(hook, None, Env::new(), String::new()).await? else {
            return Ok(None);
        };
        if output.cut {
            let what = format!("it prints more than {LARGEST} bytes, which cannot be published");
            let source = io::Error::new(io::ErrorKind::FileTooLarge, what);
            return Err(AgentError::Hook { key: hook.key(), source });
        }
        Ok(Some(output.text))
    }

    /// What follows the lease.
    ///
    /// # Errors
    /// Where it fails.
    pub(super) async fn after(&self, force: &InForce) -> Result<(), AgentError> {
        let held = &force.held;
        let mut env = of_host(&held.subnet, &held.value);
        env.insert("NETWORK".to_owned(), force.config.network.to_string());
        self.run(Hook::PostStartup, None, env, String::new()).await.map(drop)
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
        let output = self.run(Hook::Shutdown, None, env, String::new()).await?;
        Ok(output.map(|output| output.text))
    }

    /// Runs a command for each host that comes, changes or goes, in the order of the events, and, where
    /// something else is in force, those that a start runs. What fails is told, and not tried again.
    pub(super) async fn follow(
        mut self,
        mut overlay: Overlay,
        mut events: mpsc::UnboundedReceiver<News>,
    ) {
        let mut todo = Todo::default();
        loop {
            while let Ok(news) = events.try_recv() {
                todo.take(news);
            }
            let Some(next) = todo.next() else {
                let Some(news) = events.recv().await else { return };
                todo.take(news);
                continue;
            };
            if let Next::Force(force) = &next {
                overlay = force.overlay.clone();
                if let Backend::Extension(conf) = force.overlay.backend() {
                    self.conf = conf.clone();
                }
            }
            let mut work = pin!(self.work(&overlay, &next));
            loop {
                tokio::select! {
                    () = &mut work => break,
                    news = events.recv() => match news {
                        Some(news) => todo.take(news),
                        None => return,
                    },
                }
            }
        }
    }

    async fn work(&self, overlay: &Overlay, next: &Next) {
        match next {
            Next::Force(force) => {
                if let Err(error) = self.after(force).await {
                    let error = ErrorChain(&error);
                    tracing::error!(%error, "extension");
                }
            }
            // The loop tells why a host cannot be used.
            Next::Gone(peer) | Next::Come(peer) if overlay.peer(peer, &mut |_| false).is_err() => {
                self.tell(&peer.subnet.to_string(), None);
            }
            Next::Gone(peer) => self.about(Hook::SubnetRemove, peer).await,
            Next::Come(peer) => self.about(Hook::SubnetAdd, peer).await,
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
        if let Err(error) = self.run(hook, Some(&peer.subnet), env, data.to_owned()).await {
            let error = ErrorChain(&error);
            tracing::error!(subnet = %peer.subnet, host = %peer.value.public_ip, %error, "extension");
        }
    }

    /// Runs a command; gives what it prints.
    async fn run(
        &self,
        hook: Hook,
        peer: Option<&SubnetKey>,
        env: Env,
        input: String,
    ) -> Result<Option<Output>, AgentError> {
        let mut all: Env = std::env::vars().collect();
        all.extend(env.clone());
        let words = self.conf.words(hook, self.shell, &all);
        // Of a host the one command takes the place of the other.
        let about = peer.map_or_else(|| hook.key().to_owned(), ToString::to_string);
        let Some((program, args)) = words.split_first() else {
            self.tell(&about, None);
            return Ok(None);
        };
        let mut command = Command::new(program);
        command.args(args).envs(&env);
        let whom = peer.map_or_else(String::new, |subnet| format!(" for {subnet}"));
        let what = format!("Backend.{}{whom}", hook.key());
        let mut ran = pin!(converse(command, &input, self.limit));
        let slow = tokio::time::sleep(self.limit / 10);
        let ran = tokio::select! {
            ran = &mut ran => ran,
            () = slow => {
                let limit = self.limit.as_secs();
                let why = format!("{what} has not ended yet, and is killed after {limit} s");
                tracing::warn!("{why}");
                self.tell(&about, Some(why));
                ran.await
            }
        };
        self.tell(&about, ran.as_ref().err().map(|error| format!("{what} failed: {error}")));
        let output = ran.map_err(|source| AgentError::Hook { key: hook.key(), source })?;
        let said = excerpt(&output.text);
        tracing::info!(key = hook.key(), command = words.join(" "), output = %said, "ran a command");
        Ok(Some(output))
    }

    /// Notes what is wrong with a command, or that nothing is any more.
    fn tell(&self, about: &str, trouble: Option<String>) {
        let Some(standing) = &self.standing else { return };
        standing.send_if_modified(|standing| {
            let before = match &trouble {
                Some(why) => standing.commands.insert(about.to_owned(), why.clone()),
                None => standing.commands.remove(about),
            };
            before != trouble
        });
    }
}

fn of_host(subnet: &SubnetKey, value: &LeaseValue) -> Env {
    let v6 = subnet.v6.map(|net| ("IPV6SUBNET", net.to_string()));
    let public_v6 = value.public_ipv6.map(|ip| ("PUBLIC_IPV6", ip.to_string()));
    let v4 = [("SUBNET", subnet.v4.to_string()), ("PUBLIC_IP", value.public_ip.to_string())];
    let all = v4.into_iter().chain(v6).chain(public_v6);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}
