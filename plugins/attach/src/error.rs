//! Why an attachment could not be made, checked or taken away.

use std::path::PathBuf;

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
