//! The archive an initramfs is made of: cpio, "newc" format (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeMap;
use std::io::{Result, Write};

/// Files, directories and symbolic links by path, without a leading slash. What is put in twice is
/// there as it was put in last.
#[derive(Debug, Default)]
pub(super) struct Archive {
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug)]
enum Node {
    Dir,
    Link(String),
    File(u32, Vec<u8>),
}

const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const REGULAR: u32 = 0o100_000;
const ZERO: &str = "00000000";
const END: &str = "TRAILER!!!";

impl Archive {
    /// Puts in a directory and those above it.
    pub(super) fn dir(&mut self, path: &str) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.nodes.entry(path.to_owned()).or_insert(Node::Dir);
    }

    /// Puts in a symbolic link and the directories above it.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.put(path, Node::Link(target.to_owned()));
    }

    /// Puts in a file, `mode` as of chmod, and the directories above it.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.put(path, Node::File(REGULAR | mode, content.into()));
    }

    /// Writes the archive, directories before what is in them. The kernel reads further archives
    /// behind this one.
    pub(super) fn write(&self, to: &mut dyn Write) -> Result<()> {
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            let (mode, content) = match node {
                Node::Dir => (DIRECTORY, [].as_slice()),
                Node::Link(target) => (LINK, target.as_bytes()),
                Node::File(mode, content) => (*mode, content.as_slice()),
            };
            entry(to, number + 1, path, mode, content)?;
        }
        entry(to, 0, END, 0, &[])
    }

    fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.nodes.insert(path.to_owned(), node);
    }

    fn parents(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            let (parent, _) = path.split_at(end);
            self.nodes.entry(parent.to_owned()).or_insert(Node::Dir);
        }
    }
}

fn entry(to: &mut dyn Write, inode: usize, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let links = if mode == DIRECTORY { 2 } else { 1 };
    let (name, size) = (path.len() + 1, content.len());
    // magic, inode, mode, owner, group, links, time, size, 4 x device, length of name, checksum
    write!(to, "070701{inode:08X}{mode:08X}{ZERO}{ZERO}{links:08X}{ZERO}{size:08X}")?;
    write!(to, "{ZERO}{ZERO}{ZERO}{ZERO}{name:08X}{ZERO}")?;
    to.write_all(path.as_bytes())?;
    to.write_all(&[0])?;
    padding(to, 110 + name)?;
    to.write_all(content)?;
    padding(to, content.len())
}

/// Fills up to a multiple of four.
fn padding(to: &mut dyn Write, length: usize) -> Result<()> {
    for _ in length..length.next_multiple_of(4) {
        to.write_all(&[0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
