//! The opposite of running: takes away what the agent has made on this host, and gives its lease
//! back. Nothing stops early; what could not be removed is told.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use attach::forward;
use cni::ErrorChain;
use drivers::traffic::{self, Traffic};
use ipnetwork::IpNetwork;
use kernel::Kernel;
use netstate::{
    Datapath, Desired, LinkKind, LinkName, LinkRef, Ns, NsNames, Plan, Scope, State, Step,
};

use super::extension::Hooks;
use super::lock::Lock;
use super::memory::{Memory, Remembered};
use super::{AgentError, LOCAL, announce, secret};
use crate::api::status;
use crate::backend::Backend;
use crate::config::options::Options;
use crate::lease::{Host, Leases, SubnetKey};
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
    left.commands(options, &remembered).await;
    left.host(options, &remembered);
    Ok(left)
}

/// As [`cleanup`], and gives the lease back, and forgets what the agent remembers.
///
/// # Errors
/// As [`cleanup`], and where an option for the store makes no sense.
pub async fn leave(options: &Options) -> Result<Left, AgentError> {
    let _lock = lock(options)?;
    let mut left = Left::default();
    let store = options.store.open().map_err(AgentError::StoreOptions)?;
    let keys = options.store.keyspace().map_err(AgentError::Prefix)?;
    let host = Host::this().map_err(AgentError::Host)?;
    let remembered = remembered(options).await?;
    left.commands(options, &remembered).await;
    left.host(options, &remembered);
    match Leases::new(store, keys, host).leave(remembered.lease).await {
        Ok((released, kept)) => {
            left.removed.extend(released.iter().map(|lease| format!("lease {}", lease.subnet)));
            left.kept.extend(kept.iter().map(|lease| {
                format!("{0} is reserved: `netd lease release {0}` ends that", lease.subnet)
            }));
            let memory = options.state_dir.join(LOCAL);
            left.file(&memory);
            left.file(&local::aside(&memory));
            left.file(&options.state_dir.join(secret::COPY));
            left.file(&options.wireguard_key_file);
        }
        // What is remembered is needed when this is tried again.
        Err(error) => left.failed.push(ErrorChain(&error).to_string()),
    }
    Ok(left)
}

/// What the agent has written down of what it makes.
#[derive(Debug, Default)]
struct Known {
    devices: Vec<LinkName>,
    networks: BTreeSet<IpNetwork>,
    /// The subnet, and the address that was published with it.
    lease: Option<(SubnetKey, Ipv4Addr)>,
    cluster: Option<Remembered>,
}

/// No agent runs as long as it is held; where there is no state directory none has run.
fn lock(options: &Options) -> Result<Option<Lock>, AgentError> {
    options.state_dir.exists().then(|| Lock::take(&options.state_dir)).transpose()
}

async fn remembered(options: &Options) -> Result<Known, AgentError> {
    let path = options.state_dir.join(LOCAL);
    if !path.exists() {
        return Ok(Known::default());
    }
    let local: Arc<dyn Store> = Arc::new(Local::open(&path).map_err(AgentError::Local)?);
    let devices = local.list("/devices/").await.map_err(AgentError::Local)?.entries;
    let name = |key: &str| LinkName::new(key.split('/').nth(2)?).ok();
    let memory = Memory::new(local, &options.store.etcd_prefix);
    let (lease, cluster) = (memory.lease().await?, memory.recall().await?);
    Ok(Known {
        cluster,
        devices: devices.iter().filter_map(|entry| name(&entry.key)).collect(),
        networks: memory.networks().await?,
        lease: lease.map(|held| (held.subnet, held.value.public_ip)),
    })
}

/// Whether the agent makes devices of this kind.
fn is_ours(kind: &LinkKind) -> bool {
    kind.is_tunnel() || *kind == LinkKind::Other("tun".to_owned())
}

impl Left {
    /// The last command of backend `extension`: what it has made only it can take back.
    async fn commands(&mut self, options: &Options, known: &Known) {
        let Some(Remembered { config, held, .. }) = &known.cluster else { return };
        let shell = options.extension_shell;
        let backend = Backend::parse(&config.backend).and_then(|backend| backend.fits(shell));
        let conf = match backend {
            Ok(Backend::Extension(conf)) => conf,
            Ok(_) => return,
            Err(error) => return self.failed.push(ErrorChain(&error).to_string()),
        };
        match (Hooks { conf, shell }).shutdown(config, &held.subnet, &held.value).await {
            Ok(Some(said)) => self.removed.push(format!("Backend.ShutdownCommand: {said}")),
            Ok(None) => {}
            Err(error) => self.failed.push(ErrorChain(&error).to_string()),
        }
    }

    fn host(&mut self, options: &Options, known: &Known) {
        self.kernel(known);
        let conflist = options.cni_conf_dir.as_ref().map(|dir| dir.join(announce::CONFLIST));
        let sockets = [announce::SOCKET, status::SOCKET].map(|name| options.run_dir.join(name));
        for file in conflist.iter().chain([&options.subnet_file]).chain(&sockets) {
            self.file(file);
        }
        // Others' directories stay, as that of attachments.
        let _ = std::fs::remove_dir(&options.run_dir);
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
        let plan = table.map(|there| traffic::plan(there.as_deref(), &Traffic::default()));
        self.apply(&mut kernel, plan.map_err(|error| ErrorChain(&error).to_string()));
        for network in &known.networks {
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

    fn file(&mut self, path: &Path) {
        match std::fs::remove_file(path) {
            Ok(()) => self.removed.push(format!("rm {}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.failed.push(format!("rm {}: {error}", path.display())),
        }
    }
}
