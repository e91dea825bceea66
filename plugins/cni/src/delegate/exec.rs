//! One execution of a plugin's program.

use crate::error::Error;
use crate::skel::Env;
use rustix::fs::{MemfdFlags, Timespec, memfd_create};
use rustix::io::Errno;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::nanosleep;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a program that someone still writes (ETXTBSY) is waited for, as long as the reference.
const BUSY_BOUND: Duration = Duration::from_secs(5);

/// How often that is looked at.
const BUSY_STEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// A program, its whole environment, and what it reads.
pub(crate) struct Call<'a> {
    pub(crate) program: &'a Path,
    pub(crate) env: &'a Env,
    pub(crate) stdin: &'a [u8],
}

/// Runs the program to its end and returns what it printed. There is no time limit, as CNI has
/// none; but it is killed when this process dies, so that nothing works on beside a later DEL.
///
/// # Errors
/// The error it printed; or code 999 with its stderr or exit status; or 5 when it cannot be
/// started.
pub(crate) fn run(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let name = call.program.file_name().unwrap_or_default().to_string_lossy();
    let failed = |what: &str, error: &io::Error| {
        Error::io(format!("{what} {}: {error}", call.program.display()))
    };
    let child = start(call).map_err(|error| failed("start", &error))?;
    let output = child.wait_with_output().map_err(|error| failed("read from", &error))?;
    if output.status.success() {
        forward(&output.stderr);
        return Ok(output.stdout);
    }
    Err(failure(&name, &output))
}

fn start(call: &Call<'_>) -> io::Result<Child> {
    let begun = Instant::now();
    loop {
        match command(call)?.spawn() {
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy
                    && begun.elapsed() < BUSY_BOUND =>
            {
                // Nothing tells when the last writer closes the file.
                let _ = nanosleep(&BUSY_STEP);
            }
            started => return started,
        }
    }
}

fn command(call: &Call<'_>) -> io::Result<Command> {
    let mut command = Command::new(call.program);
    command
        .env_clear()
        .envs(call.env.all())
        .stdin(input(call.stdin)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let parent = getpid();
    let die_with_parent = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    #[expect(unsafe_code, reason = "the only way to run two system calls between fork and exec")]
    // SAFETY: after a fork only async-signal-safe functions may be called; this makes two system
    // calls and allocates nothing.
    unsafe {
        command.pre_exec(die_with_parent);
    }
    Ok(command)
}

/// A file in memory: unlike a pipe it takes the whole input at once, so that nobody need write
/// while the output is read.
fn input(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("cni-stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn failure(name: &str, output: &Output) -> Error {
    if let Some(error) = Error::from_json(&output.stdout) {
        forward(&output.stderr);
        return error;
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let text = if !stdout.trim().is_empty() {
        format!("netplugin failed: {:?} {:?}", stdout.trim(), stderr.trim())
    } else if !stderr.trim().is_empty() {
        format!("netplugin failed: {:?}", stderr.trim())
    } else {
        format!("netplugin failed with no error message: {}", output.status)
    };
    Error::internal(format!("plugin {name:?}: {text}"))
}

/// Passes on what the plugin said to the people who read logs.
fn forward(stderr: &[u8]) {
    // A log that nobody takes is no reason to fail.
    let _ = io::stderr().write_all(stderr);
}
