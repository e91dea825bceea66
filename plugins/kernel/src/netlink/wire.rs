//! Attributes as bytes: `struct nlattr` (`include/uapi/linux/netlink.h`), aligned to 4 bytes.

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// `NLA_TYPE_MASK`: without the nested and byte order flags.
const TYPE_MASK: u16 = 0x3fff;

/// Puts a few bytes at the end of a buffer: musl takes longer to be asked for a copy of them than this.
#[inline]
pub(crate) fn append<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    bytes.into_iter().for_each(|byte| out.push(byte));
}

/// Attributes put at the end of a buffer.
#[derive(Debug)]
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    /// One attribute with its value as it is.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        append(self.0, length.to_ne_bytes());
        append(self.0, kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.align();
        self
    }

    /// One attribute with the value that `write` puts at the end of the buffer.
    pub(crate) fn written(&mut self, kind: u16, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.measured(kind, write);
        self.align();
        self
    }

    /// A string with its NUL.
    pub(crate) fn str(&mut self, kind: u16, value: &str) -> &mut Self {
        self.written(kind, |out| {
            out.extend_from_slice(value.as_bytes());
            out.push(0);
        })
    }

    /// A number in network byte order, as nfnetlink wants all of them.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A 64-bit number in network byte order.
    pub(crate) fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A number in the machine's byte order, as rtnetlink wants them.
    pub(crate) fn ne32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// An attribute that holds attributes. What is nested must stay below 64 KiB.
    pub(crate) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Writer<'_>)) -> &mut Self {
        self.measured(kind | NESTED, |out| inner(&mut Writer(out)));
        self
    }

    fn measured(&mut self, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        append(self.0, [0; 2]);
        append(self.0, kind.to_ne_bytes());
        write(self.0);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        patch(self.0, start, length.to_ne_bytes());
    }

    fn align(&mut self) {
        while !self.0.len().is_multiple_of(4) {
            self.0.push(0);
        }
    }
}

/// Overwrites bytes that are there.
pub(crate) fn patch<const N: usize>(buffer: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = buffer.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = bytes;
    }
}

/// The attributes in some bytes; ends at the first that is not whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attrs<'a>(pub(crate) &'a [u8]);

impl<'a> Attrs<'a> {
    /// The value of the first attribute of that type.
    pub(crate) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.into_iter().find(|(k, _)| *k == kind).map(|(_, value)| value)
    }

    /// The attributes inside an attribute of that type.
    pub(crate) fn nested(self, kind: u16) -> Attrs<'a> {
        Attrs(self.get(kind).unwrap_or_default())
    }

    /// A string up to its NUL.
    pub(crate) fn text(self, kind: u16) -> Option<String> {
        self.get(kind).map(text)
    }

    /// Whether it is this string.
    pub(crate) fn is(self, kind: u16, value: &str) -> bool {
        self.get(kind).and_then(|bytes| bytes.strip_suffix(&[0])) == Some(value.as_bytes())
    }

    /// A number in network byte order.
    pub(crate) fn be32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// A 64-bit number in network byte order.
    pub(crate) fn be64(self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, kind) = (number(self.0, 0)?, number(self.0, 2)?);
        let length = usize::from(length);
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & TYPE_MASK, value))
    }
}

/// Bytes up to the first NUL, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// A 16-bit number in the machine's byte order.
pub(crate) fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
