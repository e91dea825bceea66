//! Commands in a host or container of the lab: bounded, and with their output in every error.
//!
//! A command enters the namespaces through `nsenter`. Its environment is empty but for `PATH`,
//! `HOME` and `LC_ALL`, so that a test sees the same on every machine.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use crate::process::{Process, kill_children};
use crate::wait::PATIENCE;

/// Where commands are looked for.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command to be run in a [`Place`](crate::Place).
#[derive(Debug, Clone)]
pub struct Command {
    place: String,
    entry: Vec<OsString>,
    argv: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Vec<u8>,
    bound: Duration,
    log: PathBuf,
}

/// What a finished command left.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit status; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// Standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// Standard output as JSON.
    ///
    /// # Errors
    ///
    /// When it is not JSON; the error shows it.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("parse as JSON the output {:?}", self.stdout))
    }
}

impl Command {
    /// A command of `place` (its name, for errors), which `entry` (`nsenter` with its options)
    /// leads into. Logs of background processes go to the directory `log`.
    pub(crate) fn new(place: String, entry: Vec<OsString>, log: PathBuf) -> Self {
        let env = [("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")]
            .map(|(key, value)| (key.into(), value.into()))
            .into();
        Self { place, entry, argv: Vec::new(), env, stdin: Vec::new(), bound: PATIENCE * 3, log }
    }

    /// Adds one word to the command line; the first is the program.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.argv.push(word.as_ref().to_owned());
        self
    }

    /// Adds words to the command line.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Gives the command this standard input; without, it is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets the longest time the command may take; a minute by default.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Runs it to its end, whatever its exit status.
    ///
    /// # Errors
    ///
    /// When it cannot be started or does not end in time (it is killed then).
    pub fn output(self) -> Result<Output> {
        let mut stdout = tempfile::tempfile().context("make a file for standard output")?;
        let mut stderr = tempfile::tempfile().context("make a file for standard error")?;
        let mut child = self.start(stdout.try_clone()?.into(), stderr.try_clone()?.into())?;
        let status = wait_bounded(&mut child, self.bound);
        let (stdout, stderr) = (text(&mut stdout)?, text(&mut stderr)?);
        let Some(status) = status.with_context(|| format!("wait for {self}"))? else {
            bail!("{self} took over {:?}\nstdout: {stdout}\nstderr: {stderr}", self.bound);
        };
        Ok(Output { code: code(status), stdout, stderr })
    }

    /// Runs it to its end and demands exit status 0.
    ///
    /// # Errors
    ///
    /// As [`Self::output`], and when it fails; the error shows its output.
    pub fn run(self) -> Result<Output> {
        let shown = self.to_string();
        let output = self.output()?;
        if output.code != 0 {
            let Output { code, stdout, stderr } = output;
            bail!("{shown}: exit status {code}\nstdout: {stdout}\nstderr: {stderr}");
        }
        Ok(output)
    }

    /// Starts it in the background, its output going to the log file `name`, or `name-2` and so on
    /// when that is taken.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(self, name: &str) -> Result<Process> {
        let (path, log) = new_log(&self.log, name)?;
        let child = self.start(log.try_clone()?.into(), log.into())?;
        Process::new(format!("{name} on {}", self.place), child, path)
    }

    /// Starts it for a conversation: standard input and output are pipes, standard error is ours.
    pub(crate) fn converse(&self) -> Result<Child> {
        self.launch(Stdio::piped(), Stdio::piped(), Stdio::inherit())
    }

    fn start(&self, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        let mut stdin = tempfile::tempfile().context("make a file for standard input")?;
        stdin.write_all(&self.stdin).context("write standard input")?;
        stdin.rewind()?;
        self.launch(stdin.into(), stdout, stderr)
    }

    fn launch(&self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        let [program, options @ ..] = self.entry.as_slice() else { bail!("{self}: no entry") };
        std::process::Command::new(program)
            .args(options)
            .args(&self.argv)
            .env_clear()
            .envs(&self.env)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("start {self}"))
    }
}

/// `on PLACE: WORD WORD ...`
impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "on {}:", self.place)?;
        self.argv.iter().try_for_each(|word| write!(f, " {}", word.to_string_lossy()))
    }
}

/// Waits for `child`; `None` when the time is over, and then it and its children are killed.
pub(crate) fn wait_bounded(child: &mut Child, bound: Duration) -> Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait().context("look after a process")? {
        return Ok(Some(status));
    }
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("open a process descriptor")?;
    let limit = Timespec::try_from(bound).context("a bound that fits")?;
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit))
        .context("poll a process descriptor")?;
    if ended > 0 {
        return Ok(Some(child.wait().context("reap a process")?));
    }
    kill_children(pid);
    child.kill().context("kill a process that took too long")?;
    child.wait().context("reap a killed process")?;
    Ok(None)
}

/// The exit status as a shell tells it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn new_log(dir: &Path, name: &str) -> Result<(PathBuf, File)> {
    for number in 1.. {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        let path = dir.join(format!("{name}{number}.log"));
        match File::options().create_new(true).append(true).open(&path) {
            Ok(log) => return Ok((path, log)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("make {}", path.display())),
        }
    }
    bail!("no free name for the log {name} in {}", dir.display())
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes).context("read a command's output")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
