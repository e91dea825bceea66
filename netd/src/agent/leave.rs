//! The opposite of running: takes away what the agent has made on this host, and gives its lease
//! back. Nothing stops early; what could not be removed is told.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attach::forward;
use cni::ErrorChain;
use drivers::traffic;
use ipnetwork::IpNetwork;
use kernel::Kernel;
use netd_api::file::draft;
use netstate::{
    Datapath, Desired, LinkKind, LinkName, LinkRef, Ns, NsNames, Plan, Scope, State, Step,
};

use super::extension::Hooks;
use super::lock::Lock;
use super::memory::{Memory, Remembered};
use super::{AgentError, LOCAL, announce, secret};
use crate::api::{self, status};
use crate::backend::Backend;
use crate::config::options::Options;
use crate::global::{self, Keys};
use crate::lease::{Host, Lease, Leases, SubnetKey};
use crate::proxy;
use crate::registry;
use crate::store::Store;
use crate::store::local::{self, Local};

/// What became of what the agent had made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// What was removed: commands, files, leases.
    pub removed: Vec<String>,
    /// What stays, and why that is right.
    pub kept: Vec<String>,
    /// What could not be removed, and why.
    pub failed: Vec<String>,
}

/// Removes devices, routes, rules and files of the agent's. The lease stays this host's, for its
/// time, and the next start takes it again.
///
/// # Errors
/// Where an agent runs, or what it has made cannot be known.
pub async fn cleanup(options: &Options) -> Result<Left, AgentError> {
    let _lock = lock(options)?;
    let mut left = Left::default();
    let remembered = remembered(options).await?;
    left.host(options, &remembered).await;
    Ok(left)
}

/// As [`cleanup`], and gives the leases back, and forgets what the agent remembers.
///
/// # Errors
/// As [`cleanup`], and where an option for the store makes no sense.
pub async fn leave(options: &Options) -> Result<Left, AgentError> {
    let _lock = lock(options)?;
    let mut left = Left::default();
    let store = options.store.open().map_err(AgentError::StoreOptions)?;
    let host = Host::this().map_err(AgentError::Host)?;
    let remembered = remembered(options).await?;
    left.host(options, &remembered).await;
    for Network { options, lease, .. } in &remembered.networks {
        let keys = options.store.keyspace().map_err(AgentError::Prefix)?;
        match Leases::new(Arc::clone(&store), keys, host.clone()).leave(*lease).await {
            Ok((released, kept)) => left.leases(options, &released, &kept),
            Err(error) => left.failed.push(ErrorChain(&error).to_string()),
        }
    }
    let keys = options.store.keyspace().map_err(AgentError::Prefix)?;
    if let Err(error) = global::leave(&*store, &Keys::below(keys.own()), &host).await {
        left.failed.push(ErrorChain(&error).to_string());
    }
    // What is remembered is needed when this is tried again.
    if left.failed.is_empty() {
        let memory = options.state_dir.join(LOCAL);
        left.file(&memory);
        left.file(&local::aside(&memory));
        left.file(&options.state_dir.join(secret::COPY));
        left.file(&options.state_dir.join(secret::OF_OVERLAYS));
        left.file(&options.wireguard_key_file);
    }
    Ok(left)
}

/// What the agent has written down of what it makes.
#[derive(Debug, Default)]
struct Known {
    devices: Vec<LinkName>,
    opened: BTreeSet<IpNetwork>,
    networks: Vec<Network>,
}

/// What it has written down of one network.
#[derive(Debug)]
struct Network {
    options: Options,
    /// The subnet, and the address that was published with it.
    lease: Option<(SubnetKey, Ipv4Addr)>,
    cluster: Option<Remembered>,
}

/// No agent runs as long as it is held; where there is no state directory none has run.
fn lock(options: &Options) -> Result<Option<Lock>, AgentError> {
    is_there(&options.state_dir).then(|| Lock::take(&options.state_dir)).transpose()
}

/// Where that cannot be told, it is: opening it tells why not.
fn is_there(path: &Path) -> bool {
    !matches!(path.try_exists(), Ok(false))
}

async fn remembered(options: &Options) -> Result<Known, AgentError> {
    let mut known = Known::default();
    let path = options.state_dir.join(LOCAL);
    if !is_there(&path) {
        let nothing = |options| Network { options, lease: None, cluster: None };
        known.networks = options.each().into_iter().map(nothing).collect();
        return Ok(known);
    }
    let local: Arc<dyn Store> = Arc::new(Local::open(&path).map_err(AgentError::Local)?);
    let devices = local.list("/devices/").await.map_err(AgentError::Local)?.entries;
    let name = |key: &str| LinkName::new(key.split('/').nth(2)?).ok();
    known.devices = devices.iter().filter_map(|entry| name(&entry.key)).collect();
    for options in options.each() {
        let memory = Memory::new(Arc::clone(&local), &options.store.etcd_prefix);
        known.opened.extend(memory.networks().await?);
        let lease = memory.lease().await?.map(|held| (held.subnet, held.value.public_ip));
        let cluster = memory.recall().await?;
        known.networks.push(Network { options, lease, cluster });
    }
    Ok(known)
}

/// Whether the agent makes devices of this kind.
fn is_ours(kind: &LinkKind) -> bool {
    kind.is_tunnel() || *kind == LinkKind::Other("tun".to_owned())
}

impl Left {
    /// The last command of backend `extension`: what it has made only it can take back.
    async fn commands(&mut self, network: &Network) {
        let Some(Remembered { config, held, .. }) = &network.cluster else { return };
        let shell = network.options.extension_shell;
        let backend = Backend::parse(&config.backend).and_then(|backend| backend.fits(shell));
        let conf = match backend {
            Ok(Backend::Extension(conf)) => conf,
            Ok(_) => return,
            Err(error) => return self.failed.push(ErrorChain(&error).to_string()),
        };
        let hooks = Hooks { conf, shell, limit: network.options.extension_timeout, standing: None };
        match hooks.shutdown(config, &held.subnet, &held.value).await {
            Ok(Some(said)) => self.removed.push(format!("Backend.ShutdownCommand: {said}")),
            Ok(None) => {}
            Err(error) => self.failed.push(ErrorChain(&error).to_string()),
        }
    }

    async fn host(&mut self, options: &Options, known: &Known) {
        for network in &known.networks {
            self.commands(network).await;
        }
        self.kernel(known);
        for Network { options, .. } in &known.networks {
            let conflist = announce::conflist_file(options);
            for file in conflist.iter().chain([&options.subnet_file]) {
                self.file(file);
            }
        }
        let sockets = [api::attach::SOCKET, status::SOCKET, proxy::SOCKET];
        sockets.iter().for_each(|name| self.file(&options.run_dir.join(name)));
        let lists = options.run_dir.join(registry::LISTS);
        self.files(&lists);
        self.directory(&lists);
        if !options.networks.is_empty() {
            // One in which others have files stays.
            self.directory(&options.subnet_dir);
        }
        // Others' directories stay, as that of attachments.
        self.directory(&options.run_dir);
        self.kept.push(
            "forwarding (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding) stays as it is: \
             others may need it"
                .to_owned(),
        );
    }

    fn kernel(&mut self, known: &Known) {
        let mut kernel = Kernel::open(None);
        let scope = self.scope(&mut kernel, &known.devices);
        let nothing = Desired(State::default());
        let plan = kernel.observe(&scope).map(|seen| Plan::between(&seen, &nothing, &scope));
        self.apply(&mut kernel, plan.map_err(|error| ErrorChain(&error).to_string()));
        let table = kernel.table_comment(&Ns::Host, &traffic::id());
        let plan = table.map(|there| traffic::plan(there.as_deref(), &[]));
        self.apply(&mut kernel, plan.map_err(|error| ErrorChain(&error).to_string()));
        for network in &known.opened {
            let plan = forward::opened_network(&mut kernel, *network);
            self.apply(&mut kernel, plan.map_err(|error| ErrorChain(&error).to_string()));
        }
    }

    /// Devices that are the agent's by name and kind, with all on them, and its routes.
    fn scope(&mut self, kernel: &mut Kernel, devices: &[LinkName]) -> Scope {
        let mut scope = drivers::host_gw::scope();
        scope.routes = true;
        for name in devices {
            match kernel.link_by_name(&Ns::Host, name) {
                Ok(Some(there)) if is_ours(&there.link.kind) => {
                    scope.links.insert(LinkRef { ns: Ns::Host, name: name.clone() });
                }
                Ok(_) => {}
                Err(error) => self.failed.push(ErrorChain(&error).to_string()),
            }
        }
        scope
    }

    /// All at once; where that fails the rest one by one.
    fn apply(&mut self, kernel: &mut Kernel, plan: Result<Plan, String>) {
        let plan = match plan {
            Ok(plan) => plan,
            Err(reason) => return self.failed.push(reason),
        };
        let report = kernel.apply(&plan);
        let command = |step: &Step| step.command(&NsNames::default());
        let done: Vec<&Step> = report.done.iter().map(|done| &done.step).collect();
        self.removed.extend(done.iter().map(|step| command(step)));
        if report.failed.is_none() {
            return;
        }
        for step in plan.steps.iter().filter(|step| !done.contains(step)) {
            match kernel.apply(&Plan { steps: vec![step.clone()] }).failed {
                None => self.removed.push(command(step)),
                Some((_, error)) => self.failed.push(ErrorChain(&error).to_string()),
            }
        }
    }

    fn leases(&mut self, options: &Options, released: &[Lease], kept: &[Lease]) {
        self.removed.extend(released.iter().map(|lease| format!("lease {}", lease.subnet)));
        let network = options.network.iter().map(|name| format!(" --network {name}"));
        let network: String = network.collect();
        self.kept.extend(kept.iter().map(|Lease { subnet, .. }| {
            format!("{subnet} is reserved: `netd lease release{network} {subnet}` ends that")
        }));
    }

    /// A directory, if it is empty: that of others' files stays, and what somebody mounted there.
    fn directory(&mut self, path: &Path) {
        match std::fs::remove_dir(path) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::ResourceBusy
                ) => {}
            Err(error) => self.failed.push(format!("rmdir {}: {error}", path.display())),
        }
    }

    /// All files in a directory of netd's own.
    fn files(&mut self, dir: &Path) {
        let paths = || -> io::Result<Vec<PathBuf>> {
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
        };
        match paths() {
            Ok(mut paths) => {
                paths.sort();
                paths.iter().for_each(|path| self.file(path));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.failed.push(format!("rm {}/*: {error}", dir.display())),
        }
    }

    /// The file, and the draft of it that an agent leaves which is killed.
    fn file(&mut self, path: &Path) {
        for path in [path, &draft(path)] {
            match std::fs::remove_file(path) {
                Ok(()) => self.removed.push(format!("rm {}", path.display())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.failed.push(format!("rm {}: {error}", path.display())),
            }
        }
    }
}
