//! Who a kernel object belongs to.

use std::fmt::Write;

use netstate::{LinkName, NameError};
use sha2::{Digest, Sha256};

/// An attachment: one interface of one container in one network (CNI spec, section 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Network name.
    pub network: String,
    /// Container id.
    pub container_id: String,
    /// Interface name in the container.
    pub ifname: String,
}

/// Start of `ifalias` of every link this project makes.
pub(crate) const ALIAS_PREFIX: &str = "netd:";

/// Longest comment of an element in bytes, as `nft` shows it (`NFTNL_UDATA_COMMENT_MAXLEN`, 128
/// with the NUL).
const COMMENT_MAX: usize = 127;

impl Owner {
    /// `ifalias` of the attachment's host link: `netd:<network>/<container>/<ifname>`, at most
    /// 254 bytes: with the NUL that ends it in a message it is less than `IFALIASZ` (256,
    /// `include/uapi/linux/if.h`).
    #[must_use]
    pub fn alias(&self) -> String {
        cut(&format!("{ALIAS_PREFIX}{}", self.path()), 254)
    }

    /// Comment of the attachment's nf_tables elements: `<network>/<container>/<ifname>`.
    #[must_use]
    pub fn comment(&self) -> String {
        cut(&self.path(), COMMENT_MAX)
    }

    /// What [`Owner::alias`] begins with for every attachment of a network, unless its name is so
    /// long that it is cut.
    #[must_use]
    pub fn alias_prefix(network: &str) -> String {
        format!("{ALIAS_PREFIX}{network}/")
    }

    /// Whether a comment is that of some attachment of a network. No name of a network or a
    /// container holds a slash, so one network's are never taken for another's; where the name is
    /// so long that a cut comment does not tell, it is not.
    #[must_use]
    pub fn is_comment_of(network: &str, comment: &str) -> bool {
        comment.strip_prefix(network).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The host link's name: `veth` and 11 hexadecimal digits that depend on the attachment
    /// alone, so that whoever has to remove it need not search.
    ///
    /// # Errors
    /// Never in practice: the name is always valid.
    pub fn host_link(&self) -> Result<LinkName, NameError> {
        LinkName::new(format!("veth{}", self.digest(11)))
    }

    /// The first `len` hexadecimal digits of SHA-256 over the three names, each ended by a NUL
    /// (so that "a", "bc" and "ab", "c" differ).
    #[must_use]
    pub fn digest(&self, len: usize) -> String {
        let mut hash = Sha256::new();
        for part in [&self.network, &self.container_id, &self.ifname] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let mut hex = String::new();
        for byte in hash.finalize() {
            let _ = write!(hex, "{byte:02x}");
        }
        hex.truncate(len);
        hex
    }

    /// `<network>/<container>/<ifname>`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.network, self.container_id, self.ifname)
    }
}

/// Cuts at a character boundary; a longer text keeps its end distinct by a digest.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    let mut tail = String::from("~");
    for byte in hash.finalize().iter().take(8) {
        let _ = write!(tail, "{byte:02x}");
    }
    let mut end = max - tail.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", text.get(..end).unwrap_or_default())
}
