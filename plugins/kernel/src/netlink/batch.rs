//! Several messages for one system call.

use netlink_packet_core::Emitable;

use super::flag;
use super::wire::{append, number, patch};

/// `struct nlmsghdr`.
const HEADER: usize = 16;

/// Messages in the order in which the kernel takes them. A batch is not atomic: the kernel goes
/// on after a message it refuses (nf_tables batches, which are, bring their own brackets).
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Batch {
    /// Adds a message; its number in the batch comes back.
    pub(crate) fn push(&mut self, kind: u16, flags: u16, body: &impl Emitable) -> usize {
        self.push_with(kind, flags, |out| {
            let start = out.len();
            out.resize(start + body.buffer_len(), 0);
            if let Some(place) = out.get_mut(start..) {
                body.emit(place);
            }
        })
    }

    /// Adds a message whose body is put at the end of the buffer by `write`.
    pub(crate) fn push_with(
        &mut self,
        kind: u16,
        flags: u16,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let start = self.bytes.len();
        append(&mut self.bytes, [0; 4]);
        append(&mut self.bytes, kind.to_ne_bytes());
        append(&mut self.bytes, (flags | flag::REQUEST).to_ne_bytes());
        append(&mut self.bytes, [0; 8]);
        write(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        patch(&mut self.bytes, start, length.to_ne_bytes());
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
        self.starts.push(start);
        self.starts.len() - 1
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// How many bytes they take.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Asks for an acknowledgement of one message.
    pub(crate) fn acknowledge(&mut self, message: usize) {
        let Some(at) = self.starts.get(message).map(|start| start + 6) else { return };
        let flags = number(&self.bytes, at).unwrap_or_default() | flag::ACK;
        patch(&mut self.bytes, at, flags.to_ne_bytes());
    }

    /// Numbers the messages from `first` on.
    pub(crate) fn number(&mut self, first: u32) {
        let mut sequence = first;
        for start in &self.starts {
            patch(&mut self.bytes, start + 8, sequence.to_ne_bytes());
            sequence = sequence.wrapping_add(1);
        }
    }

    /// The bytes to send.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of the messages before this one.
    #[cfg(any(test, feature = "inject"))]
    pub(crate) fn before(&self, message: usize) -> &[u8] {
        let end = self.starts.get(message).copied().unwrap_or(self.bytes.len());
        self.bytes.get(..end).unwrap_or_default()
    }

    /// The bytes of all messages but these.
    #[cfg(any(test, feature = "inject"))]
    pub(crate) fn without(&self, messages: &std::ops::Range<usize>) -> Vec<u8> {
        let end = self.starts.get(messages.end).copied().unwrap_or(self.bytes.len());
        [self.before(messages.start), self.bytes.get(end..).unwrap_or_default()].concat()
    }
}

/// A message as received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The messages in a datagram; ends at the first that is not whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Received<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let word = |at: usize| Some(u32::from_ne_bytes(self.0.get(at..at + 4)?.try_into().ok()?));
        let length = usize::try_from(word(0)?).ok()?;
        let received = Received {
            kind: number(self.0, 4)?,
            flags: number(self.0, 6)?,
            sequence: word(8)?,
            body: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(received)
    }
}
