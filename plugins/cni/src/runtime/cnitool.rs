//! The habits of cnitool, the reference's command line: its variables, and its container ids.

use super::{Container, Runtime};
use crate::conf::Args;
use crate::error::Error;
use crate::json::{self, Object};
use crate::skel::Env;
use sha2::{Digest, Sha512};
use std::path::{Component, Path, PathBuf};

/// What cnitool takes from its environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Cnitool {
    /// Directories from NETCONFPATH and CNI_PATH, or the usual ones.
    pub runtime: Runtime,
    /// CNI_IFNAME, or `eth0`.
    pub ifname: String,
    /// CNI_ARGS.
    pub args: Vec<(String, String)>,
    /// CAP_ARGS, a JSON object.
    pub capability_args: Object,
}

impl Cnitool {
    /// Reads the variables. NETCONFPATH is one directory, CNI_PATH a list.
    ///
    /// # Errors
    /// Code 4 for CNI_ARGS that are no pairs, or CAP_ARGS that is no JSON object.
    pub fn from_env(env: &Env) -> Result<Self, Error> {
        let mut runtime = Runtime::new();
        if let Some(dir) = env.get("NETCONFPATH") {
            runtime.conf_dirs = vec![PathBuf::from(dir)];
        }
        if let Some(dirs) = env.get("CNI_PATH") {
            runtime.plugin_dirs = std::env::split_paths(&dirs).collect();
        }
        let ifname = Some(env.text("CNI_IFNAME")).filter(|name| !name.is_empty());
        Ok(Self {
            runtime,
            ifname: ifname.unwrap_or_else(|| "eth0".to_owned()),
            args: Args::parse(&env.text("CNI_ARGS"))?.pairs().to_vec(),
            capability_args: capability_args(&env.text("CAP_ARGS"))?,
        })
    }

    /// The container of a namespace.
    #[must_use]
    pub fn container(&self, netns: &Path) -> Container {
        Container {
            id: container_id(netns),
            netns: Some(absolute(netns)),
            ifname: self.ifname.clone(),
            args: self.args.clone(),
            capability_args: self.capability_args.clone(),
        }
    }
}

/// `cnitool-` and the first 10 bytes of the SHA-512 of the namespace's absolute path, in hex.
#[must_use]
pub fn container_id(netns: &Path) -> String {
    let hash = Sha512::digest(absolute(netns).as_os_str().as_encoded_bytes());
    let hex: String = hash.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    format!("cnitool-{hex}")
}

fn capability_args(text: &str) -> Result<Object, Error> {
    if text.is_empty() {
        return Ok(Object::new());
    }
    let wrong = |why: &str| Error::environment(format!("CAP_ARGS: {why}"));
    let value = json::parse(text.as_bytes()).map_err(|error| wrong(&error.msg))?;
    let object = value.as_object().cloned();
    object.ok_or_else(|| wrong(&format!("expected an object, got {value}")))
}

/// The path from the root, without `.` and `..`, by its text alone: as Go's `filepath.Abs`.
fn absolute(path: &Path) -> PathBuf {
    let from_root = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut clean = PathBuf::new();
    for component in from_root.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                clean.push(component);
            }
        }
    }
    clean
}
