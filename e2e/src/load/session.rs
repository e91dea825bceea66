//! `e2e-load` at work in a host of the lab.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::PEAK;
use crate::bins;
use crate::command::wait_bounded;
use crate::host::Host;
use crate::place::Place as _;
use crate::wait::PATIENCE;

/// The longest that one command may take.
const BOUND: Duration = Duration::from_secs(600);

const PROGRAM: &str = "/opt/e2e/load";
const EMPTY: &str = "/opt/e2e/empty";

/// A conversation with `e2e-load`; it ends with this value.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    /// Starts it on a host, for the attachments of one target: its words are those of
    /// [`Work::new`](super::work::Work::new).
    ///
    /// # Errors
    ///
    /// When it is not built or cannot be started.
    pub fn start(host: &Host, target: &[&str]) -> Result<Self> {
        for (program, path) in [("e2e-load", PROGRAM), ("e2e-empty", EMPTY), ("e2e-peak", PEAK)] {
            // One that runs already is not written to.
            if !host.path(path).exists() {
                host.copy_program(&bins::program(program)?, path)?;
            }
        }
        let empty = if target == ["floor"] { &[EMPTY][..] } else { &[] };
        let mut child = host.command(&[PROGRAM]).args(target).args(empty).converse()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("its standard output")?);
        Ok(Self { child, stdin, stdout })
    }

    /// Gives a command and returns the answer.
    ///
    /// # Errors
    ///
    /// When the command fails, or takes longer than ten minutes.
    pub fn ask(&mut self, command: &str) -> Result<Value> {
        let stdin = self.stdin.as_mut().context("its standard input")?;
        writeln!(stdin, "{command}").with_context(|| format!("tell it to {command}"))?;
        let limit = Timespec::try_from(BOUND).context("a bound that fits")?;
        let answered = poll(&mut [PollFd::new(self.stdout.get_ref(), PollFlags::IN)], Some(&limit))
            .context("poll for the answer")?;
        if answered == 0 {
            bail!("{command} took over {BOUND:?}");
        }
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("read the answer")?;
        let answer: Value =
            serde_json::from_str(&line).with_context(|| format!("{command}: answer {line:?}"))?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{command}: {error}"),
            None => Ok(answer),
        }
    }
}

impl Drop for Session {
    /// Ends its standard input, and so the program.
    fn drop(&mut self) {
        drop(self.stdin.take());
        // One that hangs is killed; there is nobody to tell.
        let _ = wait_bounded(&mut self.child, PATIENCE);
    }
}
