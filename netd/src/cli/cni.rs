//! `netd cni`: the runtime's side of CNI for people and scripts, with cnitool's habits.
//!
//! Everything a network does is in crate `cni`; here are arguments and texts.

mod add;
mod check;
mod del;
mod gc;
mod list;
mod repair;
mod status;
mod version;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cni::json::{self, Object};
use cni::runtime::cnitool::Cnitool;
use cni::runtime::{Container, NetworkList, Runtime};
use cni::skel::Env;

use super::failure::{self, BadConfig};
use super::output;

/// Subcommands of `netd cni`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Attach a network namespace to a network, and print the result
    Add(add::Args),
    /// Detach it; what is gone already is no error
    Del(del::Args),
    /// Ask whether an attachment is as ADD made it
    Check(check::Args),
    /// Remove attachments that are not valid, or whose namespace is gone
    Gc(gc::Args),
    /// Ask networks whether they could serve an ADD
    Status(status::Args),
    /// Print which CNI versions the plugins of networks speak
    Version(version::Args),
    /// Restore the nf_tables state of all attachments, and print the commands that stand for it
    Repair(repair::Args),
    /// List the networks and their plugins
    List(list::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the user is to be told; [`super::failure::report`] knows the exit status.
pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(args) => add::run(args),
        Command::Del(args) => del::run(args),
        Command::Check(args) => check::run(args),
        Command::Gc(args) => gc::run(args),
        Command::Status(args) => status::run(args),
        Command::Version(args) => version::run(args),
        Command::Repair(args) => repair::run(args),
        Command::List(args) => list::run(args),
    }
}

/// Where networks, plugins and results are.
#[derive(Debug, clap::Args)]
struct Dirs {
    /// Directory of network configurations; may be repeated [default: $NETCONFPATH or
    /// /etc/cni/net.d]
    #[arg(long, value_name = "DIR")]
    conf_dir: Vec<PathBuf>,
    /// Directory of plugins; may be repeated [default: $CNI_PATH or /opt/cni/bin]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Vec<PathBuf>,
    /// Where results are kept between ADD and DEL [default: /var/lib/cni]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl Dirs {
    /// These directories, and where none is given those of the environment.
    fn runtime(&self) -> anyhow::Result<Runtime> {
        // Arguments for containers are of no interest here.
        let env = Env::of_process().with("CNI_ARGS", "").with("CAP_ARGS", "");
        Ok(self.over(Cnitool::from_env(&env).map_err(BadConfig)?.runtime))
    }

    fn over(&self, mut runtime: Runtime) -> Runtime {
        if !self.conf_dir.is_empty() {
            runtime.conf_dirs.clone_from(&self.conf_dir);
        }
        if !self.plugin_dir.is_empty() {
            runtime.plugin_dirs.clone_from(&self.plugin_dir);
        }
        if let Some(dir) = &self.cache_dir {
            runtime.cache_dir.clone_from(dir);
        }
        runtime
    }
}

/// What names an attachment, and what its plugins are told.
#[derive(Debug, clap::Args)]
struct AttachmentArgs {
    /// The network's name
    network: String,
    /// The network namespace: a path, or the name of a file in /run/netns. It may be left out with
    /// --container-id; plugins are then called with an empty CNI_NETNS
    #[arg(required_unless_present = "container_id")]
    netns: Option<PathBuf>,
    /// The container's id [default: `cnitool-` and a hash of the namespace's path]
    #[arg(long, value_name = "ID")]
    container_id: Option<String>,
    /// The interface's name in the container [default: $CNI_IFNAME or eth0]
    #[arg(long, value_name = "NAME")]
    ifname: Option<String>,
    /// CNI_ARGS [default: $CNI_ARGS]
    #[arg(long, value_name = "K=V;K=V", value_parser = cni::Args::parse)]
    args: Option<cni::Args>,
    /// Arguments for capabilities that plugins declare, a JSON object [default: $CAP_ARGS]
    #[arg(long, value_name = "JSON", value_parser = object)]
    capability_args: Option<Object>,
    #[command(flatten)]
    dirs: Dirs,
}

impl AttachmentArgs {
    /// The runtime, the network and the container that are meant.
    ///
    /// # Errors
    /// [`BadConfig`].
    fn resolve(&self) -> anyhow::Result<(Runtime, NetworkList, Container)> {
        let mut env = Env::of_process();
        // What is given as an option need not be right in the environment.
        if self.args.is_some() {
            env = env.with("CNI_ARGS", "");
        }
        if self.capability_args.is_some() {
            env = env.with("CAP_ARGS", "");
        }
        let tool = Cnitool::from_env(&env).map_err(BadConfig)?;
        let mut container = match &self.netns {
            Some(netns) => tool.container(&netns_path(netns)),
            None => Container { netns: None, ..tool.container(Path::new("/")) },
        };
        if let Some(id) = &self.container_id {
            container.id.clone_from(id);
        }
        if let Some(name) = &self.ifname {
            container.ifname.clone_from(name);
        }
        if let Some(args) = &self.args {
            container.args = args.pairs().to_vec();
        }
        if let Some(args) = &self.capability_args {
            container.capability_args = args.clone();
        }
        let runtime = self.dirs.over(tool.runtime);
        let network = network(&runtime, &self.network)?;
        Ok((runtime, network, container))
    }
}

/// A path as it is, a bare name below `/run/netns`, where `ip netns` keeps them.
fn netns_path(given: &Path) -> PathBuf {
    if given.as_os_str().as_encoded_bytes().contains(&b'/') {
        given.to_owned()
    } else {
        Path::new("/run/netns").join(given)
    }
}

fn object(text: &str) -> Result<Object, cni::Error> {
    let value = json::parse(text.as_bytes())?;
    let object = value.as_object().cloned();
    object.ok_or_else(|| cni::Error::decoding(format!("expected an object, got {value}")))
}

fn network(runtime: &Runtime, name: &str) -> anyhow::Result<NetworkList> {
    Ok(runtime.network(name).map_err(BadConfig)?)
}

/// The network of that name, or all of them, each name once. Files that cannot be read are told
/// of; the second value is whether there were any.
fn networks(runtime: &Runtime, name: Option<&str>) -> anyhow::Result<(Vec<NetworkList>, bool)> {
    if let Some(name) = name {
        return Ok((vec![network(runtime, name)?], false));
    }
    let (found, unreadable) = runtime.networks();
    unreadable.iter().for_each(failure::tell);
    let mut networks: Vec<NetworkList> = Vec::new();
    for network in found {
        // The first one is the one that counts.
        if networks.iter().all(|known| known.name != network.name) {
            networks.push(network);
        }
    }
    if networks.is_empty() && unreadable.is_empty() {
        let dirs: Vec<_> = runtime.conf_dirs.iter().map(|d| d.display().to_string()).collect();
        output::note(&format!("no networks in {}", dirs.join(" ")));
    }
    Ok((networks, !unreadable.is_empty()))
}

/// The same network for each of its plugins alone.
fn plugin_by_plugin(list: &NetworkList) -> impl Iterator<Item = NetworkList> {
    let alone = |plugin: &_| NetworkList { plugins: vec![Clone::clone(plugin)], ..list.clone() };
    list.plugins.iter().map(alone)
}
