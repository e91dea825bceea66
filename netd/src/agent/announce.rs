//! What others read: subnet.env, a CNI network configuration, and the socket for plugins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use netd_api::SubnetEnv;
use netd_api::attach::Subnet;
use netd_api::file::{Modes, replace};
use netstate::LinkName;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::AgentError;
use super::guard::Wanted;
use super::insights::Insights;
use crate::api::attach::{self, Published, SOCKET};
use crate::api::socket;
use crate::config::options::Options;
use crate::registry::Opened;

pub(super) const READABLE: Modes = Modes { file: 0o644, dir: 0o755 };

/// The files for others, with what they hold.
pub(super) fn files(options: &Options, env: &SubnetEnv) -> Vec<Wanted> {
    let mut files = vec![(options.subnet_file.clone(), env.to_string().into_bytes())];
    files.extend(conflist_file(options).map(|path| (path, conflist(options).into_bytes())));
    files
}

/// Where the CNI network configuration is: runtimes take the first in alphabetical order.
pub(super) fn conflist_file(options: &Options) -> Option<PathBuf> {
    Some(options.cni_conf_dir.as_ref()?.join(format!("10-{}.conflist", cni_name(options))))
}

/// Writes the files for others, each as a whole.
///
/// # Errors
/// A sentence with the file and the reason.
pub(super) fn write(files: &[Wanted]) -> Result<(), String> {
    for (path, bytes) in files {
        replace(path, bytes, READABLE)
            .map_err(|error| format!("write {}: {error}", path.display()))?;
        tracing::info!(file = %path.display(), "wrote for others");
    }
    Ok(())
}

/// Serves plugins until dropped.
pub(super) fn socket(
    dir: &Path,
    insights: &Insights,
    networks: &Opened,
) -> Result<JoinSet<()>, AgentError> {
    let path = dir.join(SOCKET);
    let listener = socket::listen(&path).map_err(|source| AgentError::Socket { path, source })?;
    let all = insights.iter().map(|one| one.network.clone().unwrap_or_default());
    let (publish, published) =
        watch::channel(Published { subnets: all.map(|name| (name, Subnet::default())).collect() });
    let publish = Arc::new(publish);
    let mut tasks = JoinSet::new();
    for one in insights.iter() {
        let (mut standing, publish) = (one.standing.clone(), Arc::clone(&publish));
        let name = one.network.clone().unwrap_or_default();
        tasks.spawn(async move {
            loop {
                let subnet = standing.borrow_and_update().subnet();
                publish.send_modify(|all| drop(all.subnets.insert(name.clone(), subnet)));
                if standing.changed().await.is_err() {
                    return;
                }
            }
        });
    }
    let networks = networks.clone();
    tasks.spawn(async move { match attach::serve(listener, published, networks).await {} });
    Ok(tasks)
}

/// A network of containers on this host's subnet, with published ports. Plugin `overlay` looks for
/// the agent where it is by default; else `flannel` is told the file and the socket.
fn conflist(options: &Options) -> String {
    let delegate = match &options.network {
        None => json!({ "isDefaultGateway": true, "hairpinMode": true }),
        // A bridge has the gateway of one subnet.
        Some(name) => {
            json!({ "isDefaultGateway": true, "hairpinMode": true, "bridge": bridge(name) })
        }
    };
    let is_usual = options.run_dir.join(SOCKET) == Path::new(netd_api::attach::SOCKET);
    let network = match &options.network {
        None if is_usual => json!({ "type": "overlay", "delegate": delegate }),
        Some(name) if is_usual => {
            json!({ "type": "overlay", "network": name, "delegate": delegate })
        }
        Some(_) | None => {
            let socket = options.run_dir.join(SOCKET);
            let file = &options.subnet_file;
            json!({ "type": "flannel", "subnetFile": file, "socket": socket, "delegate": delegate })
        }
    };
    let ports = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    let plugins = [network, ports];
    let document = json!({ "cniVersion": "1.0.0", "name": cni_name(options), "plugins": plugins });
    format!("{}\n", cni::json::pretty(&document))
}

/// What runtimes call the network.
fn cni_name(options: &Options) -> String {
    options.network.as_ref().map_or("netd".to_owned(), |name| format!("netd-{name}"))
}

/// The bridge of one of several networks: a link's name has 15 bytes at most.
fn bridge(network: &str) -> String {
    let name = format!("cni-{network}");
    if LinkName::new(&name).is_ok() {
        return name;
    }
    let hash = Sha256::digest(network.as_bytes());
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("cni-{hash}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::options::Request;

    fn options(line: &[&str]) -> Options {
        let line: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        match Options::read(&line, &BTreeMap::new()).unwrap() {
            Request::Run(options) => *options,
            Request::Help | Request::Version => panic!("no run: {line:?}"),
        }
    }

    #[test]
    fn each_of_several_networks_has_a_list_and_a_bridge_of_its_own() {
        let options = options(&["--networks=blue,a-name-that-is-long", "--cni-conf-dir=/c"]);
        let [blue, long] = options.each().try_into().unwrap();
        assert_eq!(conflist_file(&blue), Some("/c/10-netd-blue.conflist".into()));
        let text = conflist(&blue);
        for part in [r#""name": "netd-blue""#, r#""network": "blue""#, r#""bridge": "cni-blue""#] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(blue.subnet_file.to_str(), Some("/run/flannel/networks/blue.env"));
        assert!(LinkName::new(bridge(&long.network.unwrap())).is_ok());
    }

    #[test]
    fn an_agent_in_another_directory_is_found_by_its_file_and_socket() {
        let usual = conflist(&options(&[]));
        assert!(usual.contains(r#""type": "overlay""#), "{usual}");
        let other = conflist(&options(&["--run-dir=/run/b", "--subnet-file=/run/b/subnet.env"]));
        for part in [r#""subnetFile": "/run/b/subnet.env""#, r#""socket": "/run/b/attach.sock""#] {
            assert!(other.contains(part), "{part}: {other}");
        }
    }
}
