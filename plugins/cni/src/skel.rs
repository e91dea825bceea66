//! From environment and stdin to a request, and from a plugin's answer to stdout and exit status.
//!
//! [`run`] is a plugin's whole `main`. What is checked before the plugin is asked, in this order:
//! the environment (code 4), reading stdin (5), its JSON (6), the network's name (7), whether the
//! verb exists (4) and the version has it (1), the version (1), `prevResult` (6, 7), and for ADD
//! that CNI_NETNS is not this process's own namespace (8). The specification does not give this
//! order; it is that of the reference's skel package (CNI 1.3), except that the reference looks at
//! the namespace after the plugin has changed it.

mod dispatch;
mod env;
mod netns;
mod request;

pub use dispatch::{STDIN_LIMIT, dispatch};
pub use env::Env;
pub use request::{Request, Verb, validate_container_id, validate_ifname, validate_network_name};

use crate::error::Error;
use crate::result::AddResult;
use crate::version::Version;
use std::io;
use std::process::ExitCode;

/// What a plugin says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// The name it is called by: the `type` in a configuration.
    pub name: &'static str,
    /// The version of its build, for the banner.
    pub build: &'static str,
    /// The versions of the specification it speaks, oldest first.
    pub versions: &'static [Version],
    /// What CNI_NETNS may be.
    pub netns: NetnsRule,
}

/// What CNI_NETNS may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetnsRule {
    /// As specified: ADD and CHECK need it, and it is not the namespace of this process.
    #[default]
    Container,
    /// It may be empty, and it may be the namespace of this process: the plugin `host`.
    HostAllowed,
}

/// A CNI plugin.
///
/// The error's code is the plugin's choice; a failure without one of the specification's codes is
/// [`Error::internal`].
pub trait Plugin {
    /// What it is.
    fn info(&self) -> Info;

    /// Attaches the container. Called only in a version the plugin speaks.
    ///
    /// # Errors
    /// Nothing is left behind.
    fn add(&self, request: &Request) -> Result<AddResult, Error>;

    /// Detaches the container. Called again and again, and without namespace or `prevResult`.
    ///
    /// # Errors
    /// Something is left behind; what could be removed is removed.
    fn del(&self, request: &Request) -> Result<(), Error>;

    /// Whether what ADD made is still there; [`Request::prev_result`] is present.
    ///
    /// # Errors
    /// What differs.
    fn check(&self, request: &Request) -> Result<(), Error>;

    /// Removes every attachment to the network that is not in
    /// [`crate::NetConf::valid_attachments`].
    ///
    /// # Errors
    /// All that went wrong, after everything was tried.
    fn gc(&self, _request: &Request) -> Result<(), Error> {
        Ok(())
    }

    /// Whether an ADD could be served.
    ///
    /// # Errors
    /// Why not: codes 50 and 51.
    fn status(&self, _request: &Request) -> Result<(), Error> {
        Ok(())
    }
}

/// Serves one call: reads this process's environment and stdin, asks the plugin, prints.
#[must_use]
pub fn run(plugin: &dyn Plugin) -> ExitCode {
    let env = Env::of_process();
    let code =
        dispatch(plugin, &env, &mut io::stdin().lock(), &mut io::stdout(), &mut io::stderr());
    ExitCode::from(code)
}

#[cfg(test)]
mod tests;
