//! Containers as their users name them: `pid:N`, `netns:PATH`, an id, the beginning of an id, or a name.
//!
//! netd starts no containers. Which there are is read from what runtimes leave on disk ([`runtimes`]),
//! and no program of theirs is run: it works for a runtime whose daemon hangs, and takes no time. What
//! a word means among them is pure ([`find`]).

mod error;
mod names;
pub(crate) mod process;
pub(crate) mod resolv_conf;
pub mod runtimes;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use kernel::Netns;
use kernel::netns::NetnsId;

pub use error::ContainerError;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// Its id, as its runtime has it.
    pub id: String,
    /// What else it is called, without doubles.
    pub names: Vec<String>,
    /// What it calls itself, where its runtime has that written down.
    pub hostname: Option<String>,
    /// Whose it is, for messages: "docker", "containerd", "runc", "crun" or "netd".
    pub runtime: &'static str,
    /// Where its network namespace is; none while it does not run.
    pub netns: Option<PathBuf>,
}

impl Container {
    /// By what it is found on a network: its names, and its hostname where that says more than its id.
    #[must_use]
    pub fn found_by(&self) -> Vec<String> {
        let mut names = self.names.clone();
        let is_new = |name: &String| !self.id.starts_with(name.as_str()) && !names.contains(name);
        if let Some(hostname) = self.hostname.clone().filter(is_new) {
            // The first is shown.
            if names.is_empty() {
                names.push(self.id.clone());
            }
            names.push(hostname);
        }
        names
    }
}

/// How a container is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// By a process in it.
    Pid(u32),
    /// By the path of its network namespace.
    Netns(PathBuf),
    /// By its id, the beginning of it, or a name.
    Named(String),
}

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// [`ContainerError::Word`] for one that is empty, or a `pid:` or `netns:` of no sense.
    pub fn read(text: &str) -> Result<Self, ContainerError> {
        let wrong = |why| ContainerError::Word { text: text.to_owned(), why };
        if let Some(pid) = text.strip_prefix("pid:") {
            let pid = pid.parse().ok().filter(|pid| *pid > 0);
            return pid.map(Self::Pid).ok_or(wrong("write the number of a process after pid:"));
        }
        if let Some(path) = text.strip_prefix("netns:") {
            let path = Path::new(path);
            return match path.is_absolute() {
                true => Ok(Self::Netns(path.to_owned())),
                false => Err(wrong("write a path from / on after netns:")),
            };
        }
        match text {
            "" => Err(wrong("value is empty")),
            name => Ok(Self::Named(name.to_owned())),
        }
    }
}

/// The container that a text means, as Docker looks for one: by its whole id, by its whole name, by the
/// beginning of its id.
///
/// # Errors
/// [`ContainerError::Absent`], and [`ContainerError::Ambiguous`] where several are meant.
pub fn find<'a>(all: &'a [Container], text: &str) -> Result<&'a Container, ContainerError> {
    // Docker's names begin with a slash.
    let name = text.strip_prefix('/').unwrap_or(text);
    let by: [&dyn Fn(&Container) -> bool; 3] =
        [&|one| one.id == text, &|one| one.names.iter().any(|own| own == name), &|one| {
            !text.is_empty() && one.id.starts_with(text)
        }];
    for is_meant in by {
        let meant: Vec<&Container> = all.iter().filter(|one| is_meant(one)).collect();
        match meant.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let each = several.iter().map(|one| format!("{} ({})", one.id, one.runtime));
                let (word, meant) = (text.to_owned(), each.collect());
                return Err(ContainerError::Ambiguous { word, meant });
            }
        }
    }
    Err(ContainerError::Absent(text.to_owned()))
}

/// A container's network namespace, opened with the rights of whoever asks.
#[derive(Debug)]
pub struct Found {
    /// The container; one that no runtime has is called by its namespace.
    pub container: Container,
    /// The namespace.
    pub netns: Netns,
    /// By which path it was opened.
    pub path: PathBuf,
}

/// Finds the container that a word means, and opens its namespace. What it is called among `all` is by
/// the namespace: the first that is in it, so those that netd knows come first.
///
/// # Errors
/// [`ContainerError`]; that it is the host's namespace is one.
pub fn open(all: &[Container], word: &Word) -> Result<Found, ContainerError> {
    let (named, path) = match word {
        Word::Pid(pid) => (None, PathBuf::from(format!("/proc/{pid}/ns/net"))),
        Word::Netns(path) => (None, path.clone()),
        Word::Named(text) => {
            let one = find(all, text)?;
            let path = one.netns.clone();
            (Some(one), path.ok_or_else(|| ContainerError::NotRunning(text.clone()))?)
        }
    };
    let failed = |source| ContainerError::Netns { path: path.clone(), source };
    let netns = Netns::open(&path).map_err(failed)?;
    let id = netns.id().map_err(failed)?;
    if Netns::current().and_then(|own| own.id()).map_err(failed)? == id {
        return Err(ContainerError::OfHost);
    }
    let is_in_it = |one: &&Container| one.netns.as_deref().and_then(NetnsId::at) == Some(id);
    let container = all.iter().find(is_in_it).or(named).cloned();
    let container = container.unwrap_or_else(|| unknown(id, &path));
    Ok(Found { container, netns, path })
}

/// A namespace that no runtime says to be a container's. Whatever word leads to it, the id is the same.
fn unknown(id: NetnsId, path: &Path) -> Container {
    Container {
        id: format!("netns-{}", id.ino),
        names: Vec::new(),
        hostname: None,
        runtime: "netd",
        netns: Some(path.to_owned()),
    }
}
