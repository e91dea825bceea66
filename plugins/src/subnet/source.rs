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
    /// A file that flanneld or netd writes. Of its own, netd says at its socket whether the subnet is
    /// still this host's: the file stays as it is.
    File {
        /// The file.
        file: PathBuf,
        /// The socket.
        socket: PathBuf,
    },
    /// netd at its socket; where none runs, the file.
    Netd {
        /// Which of several networks of this host.
        network: Option<String>,
        /// The socket.
        socket: PathBuf,
        /// The file.
        file: PathBuf,
    },
}

impl Source {
    /// netd, where it always is.
    pub(crate) fn netd(network: Option<String>) -> Self {
        let file = match &network {
            Some(name) => Path::new(subnet_env::DIR).join(format!("{name}.env")),
            None => subnet_env::PATH.into(),
        };
        Self::Netd { network, socket: attach::SOCKET.into(), file }
    }

    /// The subnet as it is now.
    ///
    /// # Errors
    /// Code 11 where there is none yet; 51 where it was lost.
    pub(crate) fn read(&self) -> Result<SubnetEnv, Error> {
        match self {
            Self::File { file, socket } => {
                let env = read_file(file)?;
                lost(file, socket, &env).map_or(Ok(env), Err)
            }
            Self::Netd { network, socket, file } => {
                match attach::subnet(socket, network.as_deref()) {
                    Ok(subnet) => usable(subnet),
                    Err(absent @ attach::Error::Absent { .. }) => {
                        read_file(file).map_err(|error| {
                            let text = format!("netd does not run: {}", cni::ErrorChain(&absent));
                            error.context(text)
                        })
                    }
                    Err(error) => Err(Error::caused_by(Code::TryAgainLater, &error)),
                }
            }
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

/// What netd says of the subnet in a file, where it has lost that. Of a file that another daemon writes
/// it knows nothing, and where none runs or answers the file alone tells.
fn lost(file: &Path, socket: &Path, env: &SubnetEnv) -> Option<Error> {
    let answer = match attach::subnet(socket, None) {
        // Of several networks each has a file of its name.
        Err(attach::Error::Refused { .. }) => {
            attach::subnet(socket, Some(file.file_stem()?.to_str()?))
        }
        answer => answer,
    };
    let subnet = answer.ok().filter(|subnet| subnet.lease == Lease::Lost)?;
    let of_netd = subnet.env.as_ref()?;
    let is_same = (of_netd.subnet, of_netd.ipv6_subnet) == (env.subnet, env.ipv6_subnet);
    usable(subnet).err().filter(|_| is_same)
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
