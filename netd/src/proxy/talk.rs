//! A connection to the proxy, from the agent's side, and what is still to be answered on it.

use std::io::{self, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::message;

/// A connection. It blocks.
#[derive(Debug)]
pub(super) struct Talk {
    stream: BufReader<UnixStream>,
    /// What has come of the next reply.
    part: Vec<u8>,
    /// Replies to what was given up waiting for: they come before the next.
    owed: usize,
}

impl Talk {
    /// Begins one in which nothing takes longer than `patience`.
    ///
    /// # Errors
    /// What the system says of the times.
    pub(super) fn begin(stream: UnixStream, patience: Duration) -> io::Result<Self> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream: BufReader::new(stream), part: Vec::new(), owed: 0 })
    }

    /// Says a line.
    ///
    /// # Errors
    /// What the socket says; the other side may be gone.
    pub(super) fn say(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(line)
    }

    /// Says a line whose reply nobody waits for.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub(super) fn say_only(&mut self, line: &[u8]) -> io::Result<()> {
        self.say(line)?;
        self.owed += 1;
        Ok(())
    }

    /// Waits for the reply to what was said last.
    ///
    /// # Errors
    /// `TimedOut`: it may still come, and is passed over then. All else is the end.
    pub(super) fn hear(&mut self) -> io::Result<Vec<u8>> {
        self.owed += 1;
        loop {
            let line = self.next()?;
            self.owed -= 1;
            if self.owed == 0 {
                return Ok(line);
            }
        }
    }

    /// Whether the other side still has to answer what it was given up waiting for. Does not wait.
    ///
    /// # Errors
    /// As [`Self::hear`], but not `TimedOut`.
    pub(super) fn is_silent(&mut self) -> io::Result<bool> {
        while self.owed > 0 {
            self.stream.get_ref().set_nonblocking(true)?;
            let next = self.next();
            self.stream.get_ref().set_nonblocking(false)?;
            match next {
                Ok(_) => self.owed -= 1,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn next(&mut self) -> io::Result<Vec<u8>> {
        message::receive(&mut self.stream, &mut self.part)?;
        Ok(std::mem::take(&mut self.part))
    }
}
