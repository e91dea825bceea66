//! Why an attachment could not be made, checked or taken away.

use std::path::PathBuf;

use cni::Code;
use drivers::Owner;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record could not be read or written.
    #[error("{action} {path:?}")]
    File {
        /// "read", "write" ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A record is not one.
    #[error("read the attachment record {path:?}")]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The attachment is there already.
    #[error(
        "container {:?} already has interface {:?} in network {:?}: run DEL before another ADD",
        owner.container_id, owner.ifname, owner.network
    )]
    Attached {
        /// Whose it is.
        owner: Owner,
    },
    /// A host port is another's.
    #[error(
        "host port {port} is already mapped for {holder} (network/container/interface): choose \
         another hostPort"
    )]
    Taken {
        /// As `8080/tcp`, or `8080/tcp of 192.0.2.1`.
        port: String,
        /// Who has it.
        holder: String,
    },
    /// Others were quicker each time.
    #[error("host ports of {owner}: others changed the ruleset {attempts} times meanwhile")]
    Changed {
        /// Who wanted them.
        owner: String,
        /// How often it was tried.
        attempts: usize,
        /// What the kernel said the last time.
        #[source]
        source: Option<Refusal>,
    },
    /// The kernel refused a step.
    #[error("{step}")]
    Refused {
        /// The command that failed.
        step: String,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// Some of what had to go is still there.
    #[error("could not take away: {}", left.join("; "))]
    Left {
        /// Commands that failed, each with the reason.
        left: Vec<String>,
    },
    /// The kernel could not be asked.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// A table was made by a newer version.
    #[error(
        "nf_tables table {table} has schema {found}, newer than {known}: upgrade this program, or \
         delete the table when no container of the newer one is left"
    )]
    NewerTable {
        /// The table.
        table: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A table of our name is not ours.
    #[error("nf_tables table {table} was not made by netd (comment {comment:?}): rename it")]
    ForeignTable {
        /// The table.
        table: String,
        /// Its comment.
        comment: String,
    },
    /// iptables-legacy drops forwarded packets, and only iptables-legacy can change that.
    #[error(
        "FORWARD of {program} has policy DROP: run `{program} -P FORWARD ACCEPT`, or switch to \
         iptables-nft (`update-alternatives --set iptables /usr/sbin/iptables-nft`) and flush the \
         legacy tables"
    )]
    Legacy {
        /// `iptables-legacy` or `ip6tables-legacy`.
        program: &'static str,
    },
    /// A name that the kernel would refuse.
    #[error(transparent)]
    Name(#[from] netstate::NameError),
}

impl Error {
    /// The CNI specification's code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Attached { .. } => Code::InvalidEnvironment,
            Self::Taken { .. } => Code::InvalidConfig,
            Self::Changed { .. } => Code::TryAgainLater,
            Self::File { .. } | Self::Record { .. } => Code::Io,
            Self::Refused { source, .. } => kernel_code(&source.0),
            Self::Kernel(source) => kernel_code(source),
            Self::NewerTable { .. }
            | Self::ForeignTable { .. }
            | Self::Left { .. }
            | Self::Name(_)
            | Self::Legacy { .. } => Code::Internal,
        }
    }
}

/// The CNI specification's code for what the kernel says.
#[must_use]
pub fn kernel_code(error: &kernel::Error) -> Code {
    match error.kind() {
        kernel::Kind::Interrupted | kernel::Kind::Busy => Code::TryAgainLater,
        kernel::Kind::Exists
        | kernel::Kind::NotFound
        | kernel::Kind::NoDevice
        | kernel::Kind::Permission
        | kernel::Kind::Unsupported
        | kernel::Kind::Other => Code::Internal,
    }
}

/// What the kernel said of a step, without naming the step again.
#[derive(Debug)]
pub struct Refusal(pub kernel::Error);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.text(), std::error::Error::source(&self.0)) {
            ("", None) => f.write_str("refused"),
            ("", Some(cause)) => write!(f, "{cause}"),
            (text, None) => f.write_str(text),
            (text, Some(cause)) => write!(f, "{text} ({cause})"),
        }
    }
}

impl std::error::Error for Refusal {}
