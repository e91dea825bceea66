//! Options: flannel's flags and netd's own, from four places. `netd run` takes them all, the
//! commands that talk to the store take the store's ([`StoreFlags`]).
//!
//! One table ([`table`]) names every option once; command line, environment and file all go
//! through it. A later place wins: file, then `FLANNELD_*`, then `NETD_*`, then the command line.

mod defaults;
mod draft;
mod file;
mod flags;
mod networks;
mod store_flags;
mod table;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnetwork::IpNetwork;

use super::store::StoreOptions;
use crate::lease::TIME_TO_LIVE;
use draft::Draft;
pub use draft::boolean;
use flags::CommandLine;
pub use flags::with_two_dashes;
pub use networks::Named;
pub use store_flags::{RunDirFlags, StoreFlags};
pub use usage::{Shown, shown, usage};

/// flannel's variable for the key's file.
const KEY_FILE: &str = "WIREGUARD_KEY_FILE";

/// What the agent was asked to do, validated as far as that is possible without a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where the cluster's store is.
    pub store: StoreOptions,
    /// The networks this host is in, each by its name; without any it is in the one of the prefix.
    pub networks: Vec<Named>,
    /// Which of several networks these are the options of.
    pub network: Option<String>,
    /// Where the files of several networks are written, and read at the next start.
    pub subnet_dir: PathBuf,
    /// Which interface carries the overlay.
    pub iface: IfaceOptions,
    /// Where subnet.env is written, and read at the next start.
    pub subnet_file: PathBuf,
    /// Masquerade what leaves the cluster's network.
    pub ip_masq: bool,
    /// Networks outside of the cluster, flows between which and the cluster keep their source.
    pub ip_masq_exclude: Vec<IpNetwork>,
    /// Masquerade with random ports where the kernel can (`random-fully`).
    pub ip_masq_fully_random: bool,
    /// Accept what comes from and goes to the cluster's network when forwarding.
    pub forward_rules: bool,
    /// Keep a blackhole route for the own subnet.
    pub blackhole_route: bool,
    /// Leave checksums of inner packets of VXLAN to hardware, or not; as it is found otherwise.
    pub vxlan_tx_checksum: Option<bool>,
    /// How often everything is looked at though nothing was heard of.
    pub resync: Duration,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub health: Option<SocketAddr>,
    /// Directory of what must survive a reboot.
    pub state_dir: PathBuf,
    /// Directory of sockets.
    pub run_dir: PathBuf,
    /// Where this host's private key for WireGuard is.
    pub wireguard_key_file: PathBuf,
    /// A shell may read the commands of backend `extension`.
    pub extension_shell: bool,
    /// How long a command of backend `extension` may run before it is killed.
    pub extension_timeout: Duration,
    /// Where a conflist is written once the agent is ready.
    pub cni_conf_dir: Option<PathBuf>,
    /// What is logged, in tracing's filter language (`info`, `netd=debug`).
    pub log: String,
    /// A new host may take a subnet though others are missing in a store that was built anew.
    pub confirm_restored: bool,
    /// The life of the subnet's lease in etcd.
    pub subnet_ttl: Duration,
    /// How long hosts that are missing count as there, where that is given.
    pub missing_ttl: Option<Duration>,
    /// There is no cluster: networks of this host are served, and nothing else.
    pub standalone: bool,
    /// What is never chosen as the subnet of a network.
    pub avoid: Vec<IpNetwork>,
    /// What was given and has no effect, as sentences for the log.
    pub ignored: Vec<String>,
}

/// Which interface carries the overlay, and the address others reach it by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfaceOptions {
    /// Names or addresses, tried in order.
    pub iface: Vec<String>,
    /// Regular expressions, tried next.
    pub iface_regex: Vec<String>,
    /// The interface by which this is reached, tried last.
    pub can_reach: Option<IpAddr>,
    /// The address in the lease, where it is not the interface's.
    pub public_ip: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub public_ipv6: Option<Ipv6Addr>,
}

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Run the agent.
    Run(Box<Options>),
    /// Print the options and end.
    Help,
    /// Print the version and end.
    Version,
}

/// Why options make no sense. Displays as one sentence with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// On the command line: exit status 2.
    #[error("{0}; `netd run --help` lists the options")]
    Usage(String),
    /// In the environment or the file: exit status 64.
    #[error("{0}")]
    Config(String),
}

impl Options {
    /// How long hosts that the store does not tell of count as there: as long as a lease lives, a
    /// day at least, however short leases are.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.missing_ttl.unwrap_or_else(|| self.subnet_ttl.max(TIME_TO_LIVE))
    }

    /// Reads arguments (without the program's name and `run`) and environment, and the file that
    /// they name.
    ///
    /// # Errors
    /// [`OptionsError`] at the first thing that makes no sense.
    pub fn read(args: &[String], env: &BTreeMap<String, String>) -> Result<Request, OptionsError> {
        let line = flags::parse(args)?;
        if let Some(request) = line.request {
            return Ok(request);
        }
        gather(&line, env).map(|options| Request::Run(Box::new(options)))
    }
}

/// The options of all places, the command line last.
fn gather(line: &CommandLine, env: &BTreeMap<String, String>) -> Result<Options, OptionsError> {
    let mut draft = Draft::default();
    let from_env = || env.get("NETD_CONFIG").filter(|path| !path.is_empty());
    if let Some(path) = line.config.as_ref().or_else(from_env) {
        file::apply(&mut draft, path.as_ref())?;
    }
    if let Some(file) = env.get(KEY_FILE).filter(|path| !path.is_empty()) {
        let at = format!("variable {KEY_FILE}");
        draft.set("wireguard-key-file", file, &at).map_err(OptionsError::Config)?;
    }
    for prefix in ["FLANNELD_", "NETD_"] {
        from_environment(&mut draft, prefix, env)?;
    }
    draft.next_place();
    for (flag, value) in &line.given {
        draft.begin(flag);
        draft.set(flag, value, &format!("--{flag}")).map_err(OptionsError::Usage)?;
    }
    draft.finish()
}

/// An empty variable is no value, as with flannel; a repeatable option gets exactly one.
fn from_environment(
    draft: &mut Draft,
    prefix: &str,
    env: &BTreeMap<String, String>,
) -> Result<(), OptionsError> {
    draft.next_place();
    for option in table::OPTIONS {
        let variable = format!("{prefix}{}", option.name.to_uppercase().replace(['-', '.'], "_"));
        if let Some(value) = env.get(&variable).filter(|value| !value.is_empty()) {
            draft.begin(option.name);
            draft
                .set(option.name, value, &format!("variable {variable}"))
                .map_err(OptionsError::Config)?;
        }
    }
    Ok(())
}
