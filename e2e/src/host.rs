//! Hosts of the lab and the containers on them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::command::{Command, PATH, wait_bounded};
use crate::lab::Port;
use crate::place::Place;
use crate::wait::PATIENCE;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/host.sh");

/// One host: namespaces of its own, private `/etc`, `/var`, `/run`, `/opt`, and every process it
/// ever started in one process namespace. Copies are the same host; the last to go destroys it.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    cgroup: String,
    logs: PathBuf,
    init: Pid,
    holder: Child,
}

impl Host {
    /// Makes a host; its logs go to the new directory `logs`.
    pub(crate) fn new(name: &str, cgroup: String, logs: PathBuf) -> Result<Self> {
        std::fs::create_dir(&logs).with_context(|| format!("make {}", logs.display()))?;
        let mut holder = std::process::Command::new(SCRIPT)
            .args([name, &cgroup])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0) // so that a Ctrl-C in the terminal leaves it to clean up
            .spawn()
            .with_context(|| format!("start {SCRIPT}"))?;
        let stdout = holder.stdout.take().context("the holder's standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("read from the host's holder")?;
        let init = line.trim().strip_prefix("ready ").and_then(|pid| pid.parse().ok());
        match init.and_then(Pid::from_raw) {
            Some(init) => {
                let name = name.to_owned();
                Ok(Self { inner: Arc::new(Inner { name, cgroup, logs, init, holder }) })
            }
            None => {
                holder.wait().context("reap the host's holder")?;
                bail!("make the namespaces of host {name} (as root?): it said {line:?}")
            }
        }
    }

    /// The host's first process, as the test sees it.
    #[must_use]
    pub fn init(&self) -> Pid {
        self.inner.init
    }

    /// The cgroup for this host's container runtimes to work below; removed with the host.
    #[must_use]
    pub fn cgroup(&self) -> &str {
        &self.inner.cgroup
    }

    /// Where the test finds a file of the host.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.inner.init.as_raw_nonzero()))
            .join(file.trim_start_matches('/'))
    }

    /// Writes a file, with the directories that lead to it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_file(&self, file: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(file);
        path.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, content))
            .with_context(|| format!("write {file} on {}", self.name()))
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not UTF-8.
    pub fn read(&self, file: &str) -> Result<String> {
        std::fs::read_to_string(self.path(file))
            .with_context(|| format!("read {file} on {}", self.name()))
    }

    /// Lists a directory, sorted; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn list(&self, dir: &str) -> Result<Vec<String>> {
        let what = || format!("list {dir} on {}", self.name());
        let path = self.path(dir);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).with_context(what)? {
            names.push(entry.with_context(what)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Copies a file of the machine to the host, as `file`, executable.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    pub fn copy_program(&self, from: &Path, file: &str) -> Result<()> {
        let to = self.path(file);
        // Not in this process: a test beside this one may fork while the file is open for writing,
        // and whoever starts the program then is told that it is busy.
        let copied = to
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::process::Command::new("cp").arg(from).arg(&to).status());
        let what = || format!("copy {} to {file} on {}", from.display(), self.name());
        match copied.with_context(what)? {
            status if status.success() => Ok(()),
            status => bail!("{}: cp: {status}", what()),
        }
    }

    /// Makes a container: a network namespace of that name, `lo` down, nothing else in it.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn add_container(&self, name: &str) -> Result<Container> {
        self.run(&["ip", "netns", "add", name])?;
        Ok(Container { host: self.clone(), name: name.to_owned() })
    }

    /// One end of a wire: an interface to be made on this host, with addresses
    /// (`address/prefix`, separated by spaces).
    #[must_use]
    pub fn port(&self, interface: &str, addresses: &str) -> Port {
        Port::new(self, interface, addresses)
    }

    /// The directory of this host's logs, on the machine.
    pub(crate) fn logs(&self) -> &Path {
        &self.inner.logs
    }

    /// Does some work of this process in the host's network: on a thread, with which its namespace ends.
    pub(crate) fn in_network<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(self.network())?;
        let on_host = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("enter the network of {}", self.name()))?;
            work()
        };
        let ended = std::thread::scope(|scope| scope.spawn(on_host).join());
        ended.map_err(|_| anyhow!("a thread in the network of {} panicked", self.name()))?
    }

    /// The path of its network's namespace, as the test finds it.
    fn network(&self) -> String {
        format!("/proc/{}/ns/net", self.inner.init.as_raw_nonzero())
    }

    fn entry(&self, net: &str) -> Command {
        let init = self.inner.init.as_raw_nonzero();
        let words = [
            "nsenter".to_owned(),
            format!("--target={init}"),
            "--mount".to_owned(),
            "--pid".to_owned(),
            "--uts".to_owned(),
            "--ipc".to_owned(),
            format!("--net={net}"),
            "--".to_owned(),
        ];
        let entry = words.map(Into::into).into();
        Command::new(self.name(), entry, self.inner.logs.clone())
    }
}

impl Place for Host {
    fn name(&self) -> String {
        self.inner.name.clone()
    }

    fn host(&self) -> &Host {
        self
    }

    fn enter(&self) -> Command {
        self.entry(&self.network())
    }
}

impl Drop for Inner {
    /// Ends the holder's standard input, which destroys the host, and waits for that.
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // A holder that hangs is killed; there is nobody to tell.
        let _ = wait_bounded(&mut self.holder, PATIENCE);
    }
}

/// A container: a network namespace pinned in its host's `/run/netns`.
#[derive(Debug, Clone)]
pub struct Container {
    host: Host,
    name: String,
}

impl Container {
    /// Its name, which the lab also uses as the container id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.name
    }

    /// The path of its namespace, as programs of the host see it.
    #[must_use]
    pub fn netns(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// Removes the namespace, and with it what no process keeps alive in it.
    ///
    /// # Errors
    ///
    /// When it is gone already.
    pub fn remove(&self) -> Result<()> {
        self.host.run(&["ip", "netns", "del", &self.name]).map(drop)
    }
}

impl Place for Container {
    fn name(&self) -> String {
        format!("{}/{}", self.host.name(), self.name)
    }

    fn host(&self) -> &Host {
        &self.host
    }

    fn enter(&self) -> Command {
        let path = self.host.path(&self.netns());
        self.host.entry(&path.to_string_lossy())
    }
}
