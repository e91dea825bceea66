//! Changes to an input.

use proptest::prelude::*;

/// What the formats of the project are made of, and the values at their limits.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e999",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"\"\"",
    b"\"",
    b"\\ud800",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"{}",
    b"[[[[[[[[",
    b"1.1.0",
    b"0.1.0",
    b"/0",
    b"/129",
    b"::",
    b"::ffff:1.2.3.4",
    b"255.255.255.255",
    b"fe80::1%eth0",
    b";",
    b"=",
    b"!",
    b"\r\n",
    b"\n",
    b" ",
    b"\0",
    b"\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x04\x00\x00\x00",
    b"\xc3\x28",
    "\u{fffd}".as_bytes(),
];

/// One change; places count from the start, modulo the input's length.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Set(u16, u8),
    Flip(u16, u8),
    Word(u16, u8),
    Remove(u16, u8),
    Repeat(u16, u8),
    /// So many bytes of another input.
    Borrow(u16, u16, u8),
    Cut(u16),
}

/// Any change, each kind as likely as another.
pub(crate) fn any_edit() -> impl Strategy<Value = Edit> {
    (0_u8..7, any::<u16>(), any::<u16>(), any::<u8>()).prop_map(|(kind, at, from, byte)| match kind
    {
        0 => Edit::Set(at, byte),
        1 => Edit::Flip(at, byte),
        2 => Edit::Word(at, byte),
        3 => Edit::Remove(at, byte % 16),
        4 => Edit::Repeat(at, byte % 32),
        5 => Edit::Borrow(at, from, byte % 64),
        _ => Edit::Cut(at),
    })
}

impl Edit {
    pub(crate) fn apply(self, input: &mut Vec<u8>, other: &[u8]) {
        let place = |at: u16| usize::from(at) % (input.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(at);
                input.get_mut(at).into_iter().for_each(|old| *old = byte);
            }
            Self::Flip(at, bit) => {
                let at = place(at);
                input.get_mut(at).into_iter().for_each(|old| *old ^= 1 << (bit % 8));
            }
            Self::Word(at, which) => {
                let (at, word) = (place(at), WORDS.get(usize::from(which) % WORDS.len()));
                input.splice(at..at, word.copied().unwrap_or_default().iter().copied());
            }
            Self::Remove(at, length) => {
                let at = place(at);
                input.drain(at..input.len().min(at + usize::from(length)));
            }
            Self::Repeat(at, length) => {
                let at = place(at);
                let part = part(input, at, length).to_vec();
                input.splice(at..at, part);
            }
            Self::Borrow(at, from, length) => {
                let (at, from) = (place(at), usize::from(from) % (other.len() + 1));
                input.splice(at..at, part(other, from, length).iter().copied());
            }
            Self::Cut(at) => {
                let at = place(at);
                input.truncate(at);
            }
        }
    }
}

fn part(bytes: &[u8], at: usize, length: u8) -> &[u8] {
    bytes.get(at..bytes.len().min(at + usize::from(length))).unwrap_or_default()
}
