//! Where JSON is written to.

use std::io::{self, Write};

/// Memory. serde_json writes a mark or a short word at a time, and musl takes longer to be asked for such
/// a copy than to make it: hundreds of ports are written in a fifth of the time.
#[derive(Debug)]
pub(super) struct Sink(pub(super) Vec<u8>);

/// What is shorter is copied here, in bytes.
const SHORT: usize = 16;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() < SHORT {
            bytes.iter().for_each(|byte| self.0.push(*byte));
        } else {
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
