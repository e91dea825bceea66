//! One call, and the checks of its environment.

use super::env::Env;
use super::{Info, NetnsRule};
use crate::conf::NetConf;
use crate::error::Error;
use crate::result::AddResult;
use crate::version::Version;
use std::path::PathBuf;

/// The longest interface name in bytes: `IFNAMSIZ` less the zero (linux/if.h).
const LONGEST_IFNAME: usize = 15;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Attach a container.
    Add,
    /// Detach it.
    Del,
    /// Compare what is there with what ADD made.
    Check,
    /// Detach all that are not listed.
    Gc,
    /// Whether ADD would work.
    Status,
}

impl Verb {
    /// The text of CNI_COMMAND.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
        }
    }

    /// The verb of CNI_COMMAND, in upper case only. VERSION is none: it is answered without asking
    /// the plugin.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Add, Self::Del, Self::Check, Self::Gc, Self::Status];
        all.into_iter().find(|verb| verb.as_str() == text)
    }

    /// Whether it is about one attachment.
    #[must_use]
    pub fn has_attachment(self) -> bool {
        matches!(self, Self::Add | Self::Del | Self::Check)
    }
}

/// One call, checked.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked for.
    pub verb: Verb,
    /// CNI_CONTAINERID; empty for GC and STATUS.
    pub container_id: String,
    /// CNI_NETNS. ADD and CHECK have it (but see [`NetnsRule::HostAllowed`]), DEL may not, and the
    /// path need not exist any more. For DEL it is also absent when it is the namespace of this
    /// process: the container is gone and its process id was reused.
    pub netns: Option<PathBuf>,
    /// CNI_IFNAME; empty for GC and STATUS.
    pub ifname: String,
    /// CNI_ARGS; see [`crate::Args`].
    pub args: String,
    /// The directories of CNI_PATH.
    pub path: Vec<PathBuf>,
    /// stdin.
    pub conf: NetConf,
    /// The version of `conf`, which the plugin speaks.
    pub version: Version,
    /// The result of the plugin before this one. CHECK has it.
    pub prev_result: Option<AddResult>,
    /// The whole environment.
    pub env: Env,
}

/// The check of a variable that is set.
type Validate = fn(&str) -> Result<(), Error>;

/// Checks the variables a verb needs. `None` as verb is one that does not exist: it needs nothing,
/// and is reported after stdin was read.
pub(super) fn check_env(verb: Option<Verb>, env: &Env, info: &Info) -> Result<(), Error> {
    let Some(verb) = verb else { return Ok(()) };
    let attachment = verb.has_attachment();
    let netns =
        matches!(verb, Verb::Add | Verb::Check) && matches!(info.netns, NetnsRule::Container);
    let variables: [(&str, bool, Validate); 4] = [
        ("CNI_CONTAINERID", attachment, validate_container_id),
        ("CNI_NETNS", netns, |_| Ok(())),
        ("CNI_IFNAME", attachment, validate_ifname),
        ("CNI_PATH", true, |_| Ok(())),
    ];
    let mut missing = Vec::new();
    for (name, required, validate) in variables {
        if required && env.get(name).is_none() {
            missing.push(name);
        } else if required {
            validate(&env.text(name))?;
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::environment(format!("required env variables [{}] missing", missing.join(","))))
}

/// Checks a container's id: letters, digits, `_`, `.` and `-`, the first a letter or digit.
///
/// # Errors
/// Code 4.
pub fn validate_container_id(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        return Err(Error::environment("missing containerID"));
    }
    if !is_identifier(id) {
        return Err(Error::environment("invalid characters in containerID").with_details(id));
    }
    Ok(())
}

/// Checks a network's name by the same rule.
///
/// # Errors
/// Code 7.
pub fn validate_network_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::config("missing network name"));
    }
    if !is_identifier(name) {
        return Err(Error::config("invalid characters found in network name").with_details(name));
    }
    Ok(())
}

/// Checks an interface's name by the kernel's rule (`dev_valid_name`, net/core/dev.c).
///
/// # Errors
/// Code 4.
pub fn validate_ifname(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::environment("interface name is empty"));
    }
    if name.len() > LONGEST_IFNAME {
        let details = format!("{name:?} has {} bytes, at most {LONGEST_IFNAME} fit", name.len());
        return Err(Error::environment("interface name is too long").with_details(details));
    }
    if name == "." || name == ".." {
        return Err(Error::environment("interface name is . or .."));
    }
    if name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) {
        let text = "interface name contains / or : or whitespace characters";
        return Err(Error::environment(text).with_details(format!("{name:?}")));
    }
    Ok(())
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}
