//! What others read: subnet.env, a CNI network configuration, and the socket for plugins.

use std::path::Path;

use netd_api::SubnetEnv;
use netd_api::file::{Modes, replace};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::AgentError;
use super::guard::Wanted;
use super::standing::Standing;
use crate::api::attach::{self, Published};
use crate::config::options::Options;

/// The socket's name in the run directory, where plugins look for it.
pub(super) const SOCKET: &str = "attach.sock";
/// The configuration's name: runtimes take the first in alphabetical order.
pub(super) const CONFLIST: &str = "10-netd.conflist";
pub(super) const READABLE: Modes = Modes { file: 0o644, dir: 0o755 };

/// The files for others, with what they hold.
pub(super) fn files(options: &Options, env: &SubnetEnv) -> Vec<Wanted> {
    let mut files = vec![(options.subnet_file.clone(), env.to_string().into_bytes())];
    if let Some(dir) = &options.cni_conf_dir {
        let text = conflist(&options.run_dir, &options.subnet_file);
        files.push((dir.join(CONFLIST), text.into_bytes()));
    }
    files
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
    standing: &watch::Receiver<Standing>,
) -> Result<JoinSet<()>, AgentError> {
    let path = dir.join(SOCKET);
    let listener = attach::listen(&path).map_err(|source| AgentError::Socket { path, source })?;
    let mut standing = standing.clone();
    let (publish, published) = watch::channel(Published::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let subnet = standing.borrow_and_update().subnet();
            publish.send_replace(Published { subnet });
            if standing.changed().await.is_err() {
                return;
            }
        }
    });
    tasks.spawn(async move { match attach::serve(listener, published).await {} });
    Ok(tasks)
}

/// A network of containers on this host's subnet, with published ports. Plugin `overlay` looks for
/// the agent where it is by default; else `flannel` is told the file.
fn conflist(run_dir: &Path, subnet_file: &Path) -> String {
    let delegate = json!({ "isDefaultGateway": true, "hairpinMode": true });
    let network = if run_dir.join(SOCKET) == Path::new(netd_api::attach::SOCKET) {
        json!({ "type": "overlay", "delegate": delegate })
    } else {
        json!({ "type": "flannel", "subnetFile": subnet_file, "delegate": delegate })
    };
    let ports = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    let plugins = [network, ports];
    let document = json!({ "cniVersion": "1.0.0", "name": "netd", "plugins": plugins });
    format!("{}\n", cni::json::pretty(&document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_in_another_directory_is_found_by_its_file() {
        let usual = conflist("/run/netd".as_ref(), "/run/flannel/subnet.env".as_ref());
        assert!(usual.contains(r#""type": "overlay""#), "{usual}");
        let other = conflist("/run/b".as_ref(), "/run/b/subnet.env".as_ref());
        assert!(other.contains(r#""subnetFile": "/run/b/subnet.env""#), "{other}");
    }
}
