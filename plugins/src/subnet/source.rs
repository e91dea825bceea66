//! Who knows this host's subnet.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cni::{Code, Error};
use netd_api::attach::{self, Lease, Subnet};
use netd_api::{SubnetEnv, subnet_env};
use rustix::thread::nanosleep;

/// How often it is asked again while ADD waits.
const STEP: rustix::fs::Timespec = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Who knows this host's subnet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file that flanneld or netd writes.
    File(PathBuf),
    /// netd at its socket; where none runs, the file.
    Netd {
        /// The socket.
        socket: PathBuf,
        /// The file.
        file: PathBuf,
    },
}

impl Source {
    /// netd, where it always is.
    pub(crate) fn netd() -> Self {
        Self::Netd { socket: attach::SOCKET.into(), file: subnet_env::PATH.into() }
    }

    /// The subnet as it is now.
    ///
    /// # Errors
    /// Code 11 where there is none yet; 51 where it was lost.
    pub(crate) fn read(&self) -> Result<SubnetEnv, Error> {
        match self {
            Self::File(path) => read_file(path),
            Self::Netd { socket, file } => match attach::subnet(socket) {
                Ok(subnet) => usable(subnet),
                Err(absent @ attach::Error::Absent { .. }) => read_file(file).map_err(|error| {
                    let text = format!("netd does not run: {}", cni::ErrorChain(&absent));
                    error.context(text)
                }),
                Err(error) => Err(Error::caused_by(Code::TryAgainLater, &error)),
            },
        }
    }

    /// The subnet, as soon as there is one within this time.
    ///
    /// # Errors
    /// Code 11 where there is none, be it lost; others as [`Self::read`].
    pub(crate) fn wait(&self, bound: Duration) -> Result<SubnetEnv, Error> {
        let begun = Instant::now();
        loop {
            let error = match self.read() {
                Err(error) if error.code == Code::LimitedConnectivity => {
                    Error { code: Code::TryAgainLater, ..error }
                }
                Err(error) if error.code == Code::TryAgainLater => error,
                read => return read,
            };
            if begun.elapsed() >= bound {
                return Err(error);
            }
            // Neither the file's directory, to be watched, nor the socket need be there.
            let _ = nanosleep(&STEP);
        }
    }
}

fn usable(subnet: Subnet) -> Result<SubnetEnv, Error> {
    let Subnet { lease, ready, env, reason } = subnet;
    match (lease, env) {
        (Lease::Held, Some(env)) if ready => Ok(env),
        (Lease::Lost, _) => Err(Error::new(
            Code::LimitedConnectivity,
            format!("netd has lost this host's subnet: {reason}"),
        )),
        (Lease::Held | Lease::None, _) => {
            Err(Error::try_again(format!("netd has no subnet for this host yet: {reason}")))
        }
    }
}

/// The reference's words, but for the remedy.
fn read_file(path: &Path) -> Result<SubnetEnv, Error> {
    SubnetEnv::read(path).map_err(|error| match error {
        subnet_env::Error::Content { .. } => Error::caused_by(Code::InvalidConfig, &error),
        subnet_env::Error::File { ref source, .. } => {
            let code = if error.is_missing() { Code::TryAgainLater } else { Code::Io };
            Error::new(
                code,
                format!(
                    "failed to load flannel 'subnet.env' file: open {}: {source}. It is written by \
                     netd or flanneld: check that one of them runs on this host",
                    path.display()
                ),
            )
        }
    })
}
