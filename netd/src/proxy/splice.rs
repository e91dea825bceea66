//! Bytes from one connection to another by splice(2): they stay in the kernel.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How many bytes one call may take: a pipe's usual size.
const PIECE: usize = 64 << 10;

/// Carries both ways until both sides have said all. The end of one side's words is passed on, and
/// the other goes on speaking.
///
/// # Errors
/// Of either side; both connections are to be dropped then.
pub(super) async fn both(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    tokio::try_join!(one_way(one, other), one_way(other, one)).map(drop)
}

async fn one_way(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
    loop {
        let taken = from.async_io(Interest::READABLE, || step(from, &write, PIECE)).await?;
        if taken == 0 {
            // A peer that is gone already has heard the end.
            let _ = shutdown(to, Shutdown::Write);
            return Ok(());
        }
        given(&read, to, taken).await?;
    }
}

async fn given(pipe: &OwnedFd, to: &TcpStream, mut left: usize) -> io::Result<()> {
    while left > 0 {
        let given = to.async_io(Interest::WRITABLE, || step(pipe, to, left)).await?;
        if given == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        left -= given;
    }
    Ok(())
}

/// The pipe is empty whenever this is read into it, and full enough when it is read from: that a call
/// would wait is the connection's doing.
fn step(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    splice(from, None, to, None, most, flags).map_err(io::Error::from)
}
