//! D-Bus messages as bytes: calls with text arguments, and answers up to their first argument.
//!
//! It decides what a well-formed message is. It must not panic or reserve memory on what it reads:
//! a bus in a container's reach may be anyone. Source: D-Bus specification 0.43, "Type System",
//! "Marshaling" and "Message Protocol".

use super::bus::BusError;

/// Bytes at the start of a message that tell its size.
pub(super) const HEAD: usize = 16;
/// Longest message we send or read. D-Bus allows 128 MiB; the answers here have 200 bytes.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;

/// This message wants an answer, but not that the bus starts the one who gives it.
const NO_AUTO_START: u8 = 2;
const VERSION: u8 = 1;

/// A method call whose arguments are all texts.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) args: &'a [&'a str],
}

/// What a message is to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Return,
    Error,
    /// A call, a signal, or a kind of the future.
    Other,
}

/// A message's first argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum First {
    Nothing,
    Flag(bool),
    Text(String),
    /// Something that no method we call answers.
    Other,
}

/// A message from the bus.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// The call it answers.
    pub(super) reply_to: Option<u32>,
    /// Empty but for errors.
    pub(super) error_name: String,
    pub(super) first: First,
}

/// The message of a call, little-endian.
///
/// # Errors
///
/// [`BusError::ZeroByte`] (D-Bus texts have none), [`BusError::TooLong`].
pub(super) fn encode(call: &Call<'_>, serial: u32) -> Result<Vec<u8>, BusError> {
    let mut body = Vec::new();
    for arg in call.args {
        if arg.contains('\0') {
            return Err(BusError::ZeroByte((*arg).to_owned()));
        }
        pad(&mut body, 4);
        text(&mut body, arg)?;
    }
    let mut fields = Vec::new();
    let named = [
        (1, b'o', call.path),
        (2, b's', call.interface),
        (3, b's', call.member),
        (6, b's', call.destination),
    ];
    for (code, kind, value) in named {
        pad(&mut fields, 8);
        fields.extend([code, 1, kind, 0]);
        text(&mut fields, value)?;
    }
    if let Ok(count @ 1..) = u8::try_from(call.args.len()) {
        pad(&mut fields, 8);
        fields.extend([8, 1, b'g', 0, count]);
        fields.extend(std::iter::repeat_n(b's', usize::from(count)));
        fields.push(0);
    }
    let mut message = vec![b'l', 1, NO_AUTO_START, VERSION];
    message.extend(length(body.len())?.to_le_bytes());
    message.extend(serial.to_le_bytes());
    message.extend(length(fields.len())?.to_le_bytes());
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    length(message.len())?;
    Ok(message)
}

/// The size of the message that starts with `head`, of [`HEAD`] bytes: at least that.
///
/// # Errors
///
/// When it is no message, or over [`MAX_MESSAGE`].
pub(super) fn size(head: &[u8]) -> Result<usize, BusError> {
    let mut reader = Reader::new(head)?;
    reader.at = 4;
    let body = u64::from(reader.number()?);
    reader.at = 12;
    let fields = u64::from(reader.number()?);
    let size = (HEAD as u64 + fields).next_multiple_of(8) + body;
    usize::try_from(size).ok().filter(|s| *s <= MAX_MESSAGE).ok_or(BusError::TooLong(size))
}

impl Message {
    /// Reads a whole message, of either byte order.
    ///
    /// # Errors
    ///
    /// [`BusError::Malformed`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BusError> {
        let mut reader = Reader::new(bytes)?;
        let kind = match reader.bytes.get(1) {
            Some(2) => Kind::Return,
            Some(3) => Kind::Error,
            _ => Kind::Other,
        };
        reader.at = 12;
        let end = reader.number()? as usize + HEAD;
        let mut message =
            Self { kind, reply_to: None, error_name: String::new(), first: First::Nothing };
        let mut signature = "";
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            match (code, reader.signature()?) {
                (4, "s") => message.error_name = reader.text()?.to_owned(),
                (5, "u") => message.reply_to = Some(reader.number()?),
                (8, "g") => signature = reader.signature()?,
                (_, other) => reader.skip(other)?,
            }
        }
        if reader.at != end {
            return Err(BusError::Malformed("header fields that end past their array"));
        }
        reader.align(8);
        message.first = match signature.as_bytes().first() {
            None => First::Nothing,
            Some(b's') => First::Text(reader.text()?.to_owned()),
            Some(b'b') => match reader.number()? {
                0 => First::Flag(false),
                1 => First::Flag(true),
                _ => return Err(BusError::Malformed("a boolean that is not 0 or 1")),
            },
            Some(_) => First::Other,
        };
        Ok(message)
    }
}

fn length(len: usize) -> Result<u32, BusError> {
    let fits = u32::try_from(len).ok().filter(|_| len <= MAX_MESSAGE);
    fits.ok_or(BusError::TooLong(len as u64))
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn text(bytes: &mut Vec<u8>, text: &str) -> Result<(), BusError> {
    bytes.extend(length(text.len())?.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    Ok(())
}

const CUT: BusError = BusError::Malformed("a message that ends too early");

/// Reads values; `at` counts from the message's start, which is what they are aligned to.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, BusError> {
        let big = match (bytes.first(), bytes.get(3)) {
            (Some(b'l'), Some(&VERSION)) => false,
            (Some(b'B'), Some(&VERSION)) => true,
            _ => return Err(BusError::Malformed("something that is no D-Bus message")),
        };
        Ok(Self { bytes, at: 0, big })
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], BusError> {
        let end = self.at.checked_add(len).ok_or(CUT)?;
        let taken = self.bytes.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, BusError> {
        self.take(1)?.first().copied().ok_or(CUT)
    }

    fn number(&mut self) -> Result<u32, BusError> {
        self.align(4);
        let bytes = <[u8; 4]>::try_from(self.take(4)?).map_err(|_| CUT)?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn text(&mut self) -> Result<&'a str, BusError> {
        let len = self.number()? as usize;
        self.terminated(len)
    }

    fn signature(&mut self) -> Result<&'a str, BusError> {
        let len = usize::from(self.byte()?);
        self.terminated(len)
    }

    fn terminated(&mut self, len: usize) -> Result<&'a str, BusError> {
        let text = self.take(len)?;
        if self.byte()? != 0 {
            return Err(BusError::Malformed("a text without its final zero"));
        }
        std::str::from_utf8(text).map_err(|_| BusError::Malformed("a text that is not UTF-8"))
    }

    /// Passes over a header field's value. All that D-Bus has are single basic types.
    fn skip(&mut self, kind: &str) -> Result<(), BusError> {
        let (align, len) = match kind {
            "s" | "o" => return self.text().map(drop),
            "g" => return self.signature().map(drop),
            "y" => (1, 1),
            "n" | "q" => (2, 2),
            "b" | "i" | "u" | "h" => (4, 4),
            "x" | "t" | "d" => (8, 8),
            _ => return Err(BusError::Malformed("a header field of a type we do not know")),
        };
        self.align(align);
        self.take(len).map(drop)
    }
}
