//! Who a reservation belongs to, and how its file says so.

use super::error::{Error, Holder};

/// What separates container id and interface name in a reservation file.
const SEPARATOR: &str = "\r\n";

/// The attachment that owns an address: one interface of one container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `CNI_CONTAINERID`. White space around it does not count.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

impl Owner {
    /// The attachment of interface `ifname` of container `container_id`.
    pub fn new(container_id: impl Into<String>, ifname: impl Into<String>) -> Self {
        Self { container_id: container_id.into(), ifname: ifname.into() }
    }

    /// The content of a reservation of this owner, or an error if it could not be told from
    /// another's. An empty container id would match every empty file.
    pub(super) fn content(&self) -> Result<Vec<u8>, Error> {
        let (id, ifname) = (self.container_id.trim(), self.ifname.trim());
        let broken = |text: &str| text.is_empty() || text.contains(['\r', '\n', '\0']);
        match broken(id) || broken(ifname) {
            true => Err(Error::OwnerName { owner: self.clone() }),
            false => Ok([id, SEPARATOR, ifname].concat().into_bytes()),
        }
    }

    /// The content of a reservation by a version of the reference that knew no interfaces.
    pub(super) fn legacy_content(&self) -> &[u8] {
        self.container_id.trim().as_bytes()
    }
}

/// A reservation file's content without the white space around it, which never counts.
/// `None`: it names nobody. After a power loss a file may hold zeros instead of its text.
pub(super) fn trim(content: &[u8]) -> Option<&[u8]> {
    let trimmed = content.trim_ascii();
    trimmed.iter().any(|byte| *byte != 0 && !byte.is_ascii_whitespace()).then_some(trimmed)
}

/// The container id in a reservation's content, and what follows it.
pub(super) fn split(content: &[u8]) -> (&[u8], &[u8]) {
    let end = content.iter().position(|byte| SEPARATOR.as_bytes().contains(byte));
    content.split_at_checked(end.unwrap_or(content.len())).unwrap_or((content, &[]))
}

/// Who the (trimmed) content names.
pub(super) fn holder(content: &[u8]) -> Holder {
    let text = String::from_utf8_lossy(content);
    match text.split_once(SEPARATOR) {
        Some((id, ifname)) => Holder::Owner(Owner::new(id, ifname)),
        None => Holder::Container(text.into_owned()),
    }
}
