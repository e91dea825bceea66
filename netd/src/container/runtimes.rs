//! What container runtimes leave on disk while their containers run.
//!
//! | who | file | says |
//! |---|---|---|
//! | runc, as containerd, Docker and Podman call it | `.../ID/state.json` | process, its start, bundle |
//! | crun | `.../ID/status` | process, its start, bundle |
//! | containerd's shims of any runtime | `io.containerd.runtime.v2.task/NS/ID/init.pid` | process |
//!
//! Sources: opencontainers/runc `libcontainer/container.go` (`BaseState`), containers/crun
//! `src/libcrun/status.c`, containerd `core/runtime/v2/bundle.go`. What cannot be read is passed over:
//! a container may end at any moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::names::Names;
use super::{Container, process};

/// How a runtime says which process a container's first one is.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// `state.json` of runc.
    Runc,
    /// `status` of crun.
    Crun,
    /// `init.pid`, and the id by the directory.
    Shim,
}

/// Where a runtime's containers are: a directory for each, in the directories of a pattern, whose `*` is
/// any name.
const PLACES: [(&str, &str, Form); 9] = [
    ("docker", "run/docker/runtime-runc/moby", Form::Runc),
    ("docker", "run/docker/runtime-runc/moby", Form::Crun),
    ("containerd", "run/containerd/runc/*", Form::Runc),
    ("containerd", "run/containerd/runc/*", Form::Crun),
    ("runc", "run/runc", Form::Runc),
    ("crun", "run/crun", Form::Crun),
    ("containerd", "run/containerd/io.containerd.runtime.v2.task/*", Form::Shim),
    ("docker", "run/docker/containerd/daemon/io.containerd.runtime.v2.task/*", Form::Shim),
    ("youki", "run/youki", Form::Runc),
];

/// Part of runc's `state.json`; youki's has other keys for the same.
#[derive(Deserialize)]
struct RuncState {
    #[serde(default, alias = "pid")]
    init_process_pid: u32,
    #[serde(default)]
    init_process_start: u64,
    #[serde(default)]
    config: RuncConfig,
}

#[derive(Deserialize, Default)]
struct RuncConfig {
    /// Annotations, and `bundle=DIR`.
    #[serde(default)]
    labels: Option<Vec<String>>,
}

/// Part of crun's `status`.
#[derive(Deserialize)]
struct CrunStatus {
    #[serde(default)]
    pid: u32,
    #[serde(default, rename = "process-start-time")]
    start: u64,
    #[serde(default)]
    bundle: PathBuf,
}

/// What a runtime says of a container.
struct Seen {
    /// None where it does not run.
    netns: Option<PathBuf>,
    /// Where the specification is that it was made by.
    bundle: PathBuf,
}

/// All containers of this host's runtimes, in order of their ids; also such as do not run any more and
/// are not yet removed. `root` is where the host's files are, `/`.
#[must_use]
pub fn list(root: &Path) -> Vec<Container> {
    let names = Names::read(root);
    let mut all: BTreeMap<(String, Option<PathBuf>), Container> = BTreeMap::new();
    for (runtime, pattern, form) in PLACES {
        for place in directories(root, pattern) {
            for (id, dir) in entries(&place) {
                let Some(Seen { netns, bundle }) = form.look(root, &dir) else { continue };
                let known = |(other, path): &(String, Option<PathBuf>)| {
                    *other == id && (*path == netns || netns.is_none())
                };
                if all.keys().any(known) {
                    continue;
                }
                let (called, hostname) = names.of(&id, &bundle);
                let container =
                    Container { id: id.clone(), names: called, hostname, runtime, netns };
                all.insert((id, container.netns.clone()), container);
            }
        }
    }
    // One that does not run is of no interest beside one of its id that does.
    let running: Vec<String> =
        all.values().filter(|one| one.netns.is_some()).map(|one| one.id.clone()).collect();
    let mut all: Vec<Container> = all.into_values().collect();
    all.retain(|one| one.netns.is_some() || !running.contains(&one.id));
    for (id, runtime, called) in names.of_those_without(&all) {
        all.push(Container { id, names: called, hostname: None, runtime, netns: None });
    }
    all.sort();
    all
}

impl Form {
    /// What a container's directory says; nothing where this form's file is not there.
    fn look(self, root: &Path, dir: &Path) -> Option<Seen> {
        let text = |file: &str| std::fs::read_to_string(dir.join(file)).ok();
        match self {
            Self::Runc => {
                let state: RuncState = serde_json::from_str(&text("state.json")?).ok()?;
                let started = Some(state.init_process_start);
                let netns = process::netns(root, state.init_process_pid, started);
                let labels = state.config.labels.unwrap_or_default();
                let bundle = labels.iter().find_map(|label| label.strip_prefix("bundle="));
                Some(Seen {
                    netns,
                    bundle: bundle.map_or(dir.to_owned(), |path| within(root, path)),
                })
            }
            Self::Crun => {
                let status: CrunStatus = serde_json::from_str(&text("status")?).ok()?;
                let netns = process::netns(root, status.pid, Some(status.start));
                Some(Seen { netns, bundle: within(root, &status.bundle) })
            }
            Self::Shim => {
                let pid = text("init.pid")?.trim().parse().ok()?;
                Some(Seen { netns: process::netns(root, pid, None), bundle: dir.to_owned() })
            }
        }
    }
}

/// An absolute path of the host, below the root.
fn within(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The directories that a pattern means below the root.
fn directories(root: &Path, pattern: &str) -> Vec<PathBuf> {
    pattern.split('/').fold(vec![root.to_owned()], |found, part| {
        let of = |dir: PathBuf| match part {
            "*" => entries(&dir).into_iter().map(|(_, path)| path).collect(),
            name => vec![dir.join(name)],
        };
        found.into_iter().flat_map(of).collect()
    })
}

/// What is in a directory, in order of the names; nothing where it is not there.
pub(super) fn entries(dir: &Path) -> Vec<(String, PathBuf)> {
    let listed = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let named =
        listed.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    let mut all: Vec<_> = named.collect();
    all.sort();
    all
}
