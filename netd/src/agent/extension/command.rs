//! A command that ends in time, whatever it and what it starts do.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How much is kept of what a command prints, in bytes.
pub(super) const LARGEST: usize = 64 << 10;
/// How long a killed command may take to be gone.
const GONE: Duration = Duration::from_secs(1);
/// How much is read at once, in bytes.
const PIECE: usize = 4096;

/// What a command has printed, both ways together, without blanks around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) text: String,
    /// It has printed more than [`LARGEST`] bytes, which is not kept.
    pub(super) cut: bool,
}

/// Runs a command to its end, which is that of its own process: what it leaves behind may go on, also
/// with its output. `input` and a line's end are its standard input. Dropped before, it is killed.
///
/// # Errors
/// It cannot be started, or does not succeed. One that has not ended in time is killed, with its
/// process group, and the kind is [`io::ErrorKind::TimedOut`].
pub(super) async fn converse(
    mut command: Command,
    input: &str,
    limit: Duration,
) -> io::Result<Output> {
    let (reader, writer) = io::pipe()?;
    let mut heard = Heard::new(reader.into())?;
    command.process_group(0).stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let mut running = Running(command.spawn()?);
    // With it the last writer on this side goes.
    drop(command);
    let stdin = running.0.stdin.take();
    let mut end = running.end()?;
    let ended = {
        let talk = async {
            // Who does not read it closes it, which is no fault.
            let told = tell(stdin, format!("{input}\n"));
            let _ = tokio::join!(told, heard.all());
            std::future::pending::<()>().await;
        };
        let ended = async {
            tokio::select! {
                _ = &mut end => {}
                () = talk => {}
            }
        };
        timeout(limit, ended).await.is_ok()
    };
    if !ended {
        running.kill();
        let _ = timeout(GONE, end).await;
    }
    heard.rest();
    let output = heard.output();
    let text = excerpt(&output.text);
    if !ended {
        let what = format!("it had not ended after {} s and was killed: {text}", limit.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, what));
    }
    let status = running.status()?;
    if status.success() { Ok(output) } else { Err(io::Error::other(format!("{status}: {text}"))) }
}

/// As much as fits into a line for people.
pub(super) fn excerpt(text: &str) -> String {
    /// In characters.
    const LONGEST: usize = 500;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push_str(" ...");
    }
    short
}

async fn tell(stdin: Option<ChildStdin>, line: String) -> io::Result<()> {
    let Some(stdin) = stdin else { return Ok(()) };
    let mut stdin = pipe::Sender::from_owned_fd(OwnedFd::from(stdin))?;
    stdin.write_all(line.as_bytes()).await
}

/// A process and its group, killed where this is dropped before it has ended.
#[derive(Debug)]
struct Running(Child);

impl Running {
    /// Tells once the process has ended. Its number stays its own until it is waited for; where nobody
    /// hears any more, that is done, too.
    fn end(&self) -> io::Result<oneshot::Receiver<()>> {
        let (tell, end) = oneshot::channel();
        let child = Pid::from_child(&self.0);
        // A thread of its own: a runtime that ends waits for none.
        thread::Builder::new().name("netd-extension".to_owned()).spawn(move || {
            let wait = |how| waitid(WaitId::Pid(child), WaitIdOptions::EXITED | how);
            let _ = wait(WaitIdOptions::NOWAIT);
            if tell.send(()).is_err() {
                let _ = wait(WaitIdOptions::empty());
            }
        })?;
        Ok(end)
    }

    /// How it has ended, once it has.
    fn status(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }

    /// Kills it and what it has started in its process group.
    fn kill(&mut self) {
        // Where it was waited for, its number may be another's by now.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.kill();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        // Where it has not ended by now, the thread that waits for it sees that nobody hears it.
        let _ = self.0.try_wait();
    }
}

/// What is heard of it.
#[derive(Debug)]
struct Heard {
    pipe: pipe::Receiver,
    bytes: Vec<u8>,
    cut: bool,
}

impl Heard {
    fn new(pipe: OwnedFd) -> io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(pipe)?;
        Ok(Self { pipe, bytes: Vec::new(), cut: false })
    }

    /// Until nobody can say more. Safe to be dropped.
    async fn all(&mut self) {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = self.pipe.read(&mut piece).await {
            self.take(piece.get(..length).unwrap_or_default());
        }
    }

    /// What is there by now, without waiting, as far as a pipe holds it.
    fn rest(&mut self) {
        let mut piece = vec![0; PIECE];
        for _ in 0..LARGEST / PIECE {
            let Ok(length @ 1..) = rustix::io::read(&self.pipe, piece.as_mut_slice()) else {
                return;
            };
            self.take(piece.get(..length).unwrap_or_default());
        }
    }

    fn take(&mut self, piece: &[u8]) {
        let room = LARGEST - self.bytes.len();
        self.cut |= piece.len() > room;
        self.bytes.extend(piece.iter().take(room));
    }

    fn output(self) -> Output {
        let text = String::from_utf8_lossy(&self.bytes).trim().to_owned();
        Output { text, cut: self.cut }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    async fn said(text: &str, input: &str) -> String {
        converse(shell(text), input, LONG).await.unwrap().text
    }

    #[tokio::test]
    async fn a_command_reads_its_line_and_what_it_prints_comes_together() {
        assert_eq!(said("read -r a; echo \"$a\"; echo two >&2", "one").await, "one\ntwo");
        assert_eq!(said("exec <&-; echo done", &"x".repeat(1 << 20)).await, "done");
        assert_eq!(said("wc -c", &"x".repeat(1 << 20)).await, "1048577");
        let failed = converse(shell("echo why; exit 3"), "", LONG).await.unwrap_err().to_string();
        assert!(failed.contains("3") && failed.contains("why"), "{failed}");
    }

    #[tokio::test]
    async fn what_a_command_leaves_behind_keeps_nobody_waiting_and_goes_on() {
        let begun = Instant::now();
        let pid = said("sleep infinity & echo $!", "").await;
        assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).expect("it goes on");
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed_with_what_it_has_started() {
        let limit = Duration::from_millis(300);
        let hangs = shell("sleep infinity & echo $!; wait");
        let error = converse(hangs, "", limit).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let pid = error.to_string().rsplit(' ').next().unwrap().to_owned();
        assert!(is_gone(&pid), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_nobody_waits_for_any_more_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let hangs =
            shell(&format!("echo $$ >{}.new; mv {0}.new {0}; exec sleep infinity", file.display()));
        let begun = async {
            while !file.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = converse(hangs, "", LONG) => panic!("{ended:?}"),
            () = begun => {}
        }
        assert!(is_gone(std::fs::read_to_string(file).unwrap().trim()));
    }

    /// Soon after it was killed.
    fn is_gone(pid: &str) -> bool {
        let begun = Instant::now();
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie is waited for by whoever adopts it.
        while !(stat().is_empty() || stat().contains(") Z ")) {
            if begun.elapsed() > LONG {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    #[tokio::test]
    async fn of_what_a_command_prints_no_more_is_kept_than_the_bound() {
        let much = shell("yes | head -c 1000000; echo end");
        let output = converse(much, "", LONG).await.unwrap();
        assert!(output.cut && output.text.len() <= LARGEST, "{}", output.text.len());
        let exact = shell(&format!("yes x | tr -d '\\n' | head -c {LARGEST}"));
        let output = converse(exact, "", LONG).await.unwrap();
        assert!(!output.cut && output.text.len() == LARGEST);
        assert_eq!(excerpt(&output.text).len(), 504);
    }
}
