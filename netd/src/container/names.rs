//! What containers are called, by those who give names.
//!
//! | who | where |
//! |---|---|
//! | Docker | `DATA/containers/ID/config.v2.json`, key `Name` |
//! | Podman | `GRAPHROOT/DRIVER-containers/containers.json`, keys `id` and `names` (containers/storage) |
//! | nerdctl | `/var/lib/nerdctl/HASH/names/NS/NAME`, which holds the id |
//! | all | `config.json` of the bundle, key `hostname` |
//! | Kubernetes | annotations of a sandbox in containerd's bundle: the pod's name |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Container;
use super::runtimes::entries;

/// Names by id, with who gave them.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, (&'static str, Vec<String>)>);

#[derive(Deserialize)]
struct OfDocker {
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct OfPodman {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Names {
    /// Reads all of them; `root` is where the host's files are.
    pub(super) fn read(root: &Path) -> Self {
        let mut names = Self::default();
        for (id, dir) in entries(&docker_data(root).join("containers")) {
            let config: Option<OfDocker> = json(&dir.join("config.v2.json"));
            if let Some(OfDocker { name }) = config {
                names.add(id, "docker", name.trim_start_matches('/'));
            }
        }
        for (driver, dir) in entries(&podman_graph(root)) {
            if !driver.ends_with("-containers") {
                continue;
            }
            for file in ["containers.json", "volatile-containers.json"] {
                let all: Option<Vec<OfPodman>> = json(&dir.join(file));
                for OfPodman { id, names: called } in all.into_iter().flatten() {
                    names.add(id.clone(), "podman", "");
                    for name in called.into_iter().flatten() {
                        names.add(id.clone(), "podman", &name);
                    }
                }
            }
        }
        for (_, address) in entries(&root.join("var/lib/nerdctl")) {
            for (_, namespace) in entries(&address.join("names")) {
                for (name, file) in entries(&namespace) {
                    let id = std::fs::read_to_string(file).unwrap_or_default();
                    if !id.trim().is_empty() {
                        names.add(id.trim().to_owned(), "containerd", &name);
                    }
                }
            }
        }
        names
    }

    /// What the container of an id is called, which was made by this bundle, and what it calls itself.
    pub(super) fn of(&self, id: &str, bundle: &Path) -> (Vec<String>, Option<String>) {
        let mut names = self.0.get(id).map(|(_, names)| names.clone()).unwrap_or_default();
        let bundle: Option<Bundle> = json(&bundle.join("config.json"));
        let (hostname, annotations) =
            bundle.map(|bundle| (bundle.hostname, bundle.annotations)).unwrap_or_default();
        let is_sandbox = annotations
            .get("io.kubernetes.cri.container-type")
            .is_some_and(|kind| kind == "sandbox");
        let pod = annotations.get("io.kubernetes.cri.sandbox-name").filter(|_| is_sandbox);
        for name in pod.into_iter().chain(annotations.get("nerdctl/name")) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        (names, Some(hostname).filter(|hostname| !hostname.is_empty()))
    }

    /// Those with a name that no runtime runs: they are stopped.
    pub(super) fn of_those_without(
        &self,
        all: &[Container],
    ) -> Vec<(String, &'static str, Vec<String>)> {
        let known: std::collections::BTreeSet<&str> =
            all.iter().map(|one| one.id.as_str()).collect();
        let stopped = self.0.iter().filter(|(id, _)| !known.contains(id.as_str()));
        stopped.map(|(id, (who, names))| (id.clone(), *who, names.clone())).collect()
    }

    fn add(&mut self, id: String, who: &'static str, name: &str) {
        let (_, names) = self.0.entry(id).or_insert((who, Vec::new()));
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
}

/// Docker's data, by its file of options.
fn docker_data(root: &Path) -> PathBuf {
    #[derive(Deserialize)]
    struct Daemon {
        #[serde(rename = "data-root")]
        data_root: Option<PathBuf>,
    }
    let daemon: Option<Daemon> = json(&root.join("etc/docker/daemon.json"));
    below(root, daemon.and_then(|daemon| daemon.data_root), "var/lib/docker")
}

/// Podman's storage, by its file of options.
fn podman_graph(root: &Path) -> PathBuf {
    #[derive(Deserialize)]
    struct Conf {
        storage: Option<Storage>,
    }
    #[derive(Deserialize)]
    struct Storage {
        graphroot: Option<PathBuf>,
    }
    let text = std::fs::read_to_string(root.join("etc/containers/storage.conf"));
    let conf: Option<Conf> = text.ok().and_then(|text| toml::from_str(&text).ok());
    let given = conf.and_then(|conf| conf.storage).and_then(|storage| storage.graphroot);
    below(root, given, "var/lib/containers/storage")
}

fn below(root: &Path, given: Option<PathBuf>, usual: &str) -> PathBuf {
    let given = given.filter(|path| path.is_absolute());
    match given.as_deref().and_then(|path| path.strip_prefix("/").ok()) {
        Some(path) => root.join(path),
        None => root.join(usual),
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
