//! One question, for programs that ask once and end.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use cni::AddResult;

use super::{
    Attach, Check, Collected, Detach, Error, Gc, LONGEST, Reply, Request, Status, Subnet, pass,
};

/// How long netd may take for each step of what it answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long for what it does in the kernel: milliseconds, unless many wait for it at once.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// Asks netd for the host's subnet; where the host is in several networks, for that of one of them.
///
/// # Errors
/// [`Error::Absent`] where no netd runs; the others where one does.
pub fn subnet(socket: &Path, network: Option<&str>) -> Result<Subnet, Error> {
    let request = Request::Subnet { network: network.map(str::to_owned) };
    let reply = ask(socket, request, None)?;
    let Reply::Subnet(subnet) = reply else { return Err(unfit(reply)) };
    Ok(subnet)
}

/// Attaches a container, whose namespace is `netns`; gives what was made.
///
/// # Errors
/// [`Error::Absent`] where no netd runs; [`Error::Refused`] where nothing was made.
pub fn attach(socket: &Path, attach: Attach, netns: BorrowedFd<'_>) -> Result<AddResult, Error> {
    let reply = ask(socket, Request::Attach(attach), Some(netns))?;
    let Reply::Attached(result) = reply else { return Err(unfit(reply)) };
    Ok(*result)
}

/// Takes a container off a network; that it is not there is no error.
///
/// # Errors
/// [`Error::Absent`] where no netd runs; [`Error::Refused`].
pub fn detach(socket: &Path, detach: Detach) -> Result<(), Error> {
    done(ask(socket, Request::Detach(detach), None)?)
}

/// Compares a container, whose namespace is `netns`, with what it was attached as; gives the commands
/// that would repair what differs.
///
/// # Errors
/// [`Error::Absent`] where no netd runs; [`Error::Refused`], as where it is not attached.
pub fn check(socket: &Path, check: Check, netns: BorrowedFd<'_>) -> Result<Vec<String>, Error> {
    let reply = ask(socket, Request::Check(check), Some(netns))?;
    let Reply::Missing(commands) = reply else { return Err(unfit(reply)) };
    Ok(commands)
}

/// Whether a container could be attached now.
///
/// # Errors
/// [`Error::Absent`] where no netd runs; [`Error::Refused`] where it could not.
pub fn status(socket: &Path, status: Status) -> Result<(), Error> {
    done(ask(socket, Request::Status(status), None)?)
}

/// Takes off a network whose containers are gone and that are not listed.
///
/// # Errors
/// [`Error::Absent`] where no netd runs; [`Error::Refused`].
pub fn gc(socket: &Path, gc: Gc) -> Result<Collected, Error> {
    let reply = ask(socket, Request::Gc(gc), None)?;
    let Reply::Collected(collected) = reply else { return Err(unfit(reply)) };
    Ok(collected)
}

fn done(reply: Reply) -> Result<(), Error> {
    if reply == Reply::Done { Ok(()) } else { Err(unfit(reply)) }
}

/// An error, or an answer to another question.
fn unfit(reply: Reply) -> Error {
    match reply {
        Reply::Error { text, code } => Error::Refused { text, code },
        Reply::Subnet(_)
        | Reply::Attached(_)
        | Reply::Done
        | Reply::Missing(_)
        | Reply::Collected(_) => Error::Reply("it answers another request".to_owned()),
    }
}

fn ask(socket: &Path, request: Request, netns: Option<BorrowedFd<'_>>) -> Result<Reply, Error> {
    let failed = |action: &'static str| {
        move |source: io::Error| Error::Socket { action, socket: socket.to_owned(), source }
    };
    let mut stream = UnixStream::connect(socket).map_err(|source| {
        if crate::is_absent(&source) {
            return Error::Absent { socket: socket.to_owned(), source };
        }
        failed("connect to")(source)
    })?;
    let patience = match request {
        Request::Subnet { .. } => PATIENCE,
        Request::Attach(_)
        | Request::Detach(_)
        | Request::Check(_)
        | Request::Status(_)
        | Request::Gc(_) => LONG_PATIENCE,
    };
    let frame = request.frame();
    if frame.len().saturating_sub(4) > LONGEST as usize {
        return Err(Error::RequestTooLong(frame.len()));
    }
    let sent = stream
        .set_read_timeout(Some(patience))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| send(&mut stream, &frame, netns));
    // Who is refused is answered, and hung up on, before anything is read of the request.
    let hung_up = match sent {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Some(error)
        }
        sent => sent.map(|()| None).map_err(failed("write to"))?,
    };
    let mut length = [0; 4];
    if let Err(error) = stream.read_exact(&mut length) {
        return Err(match hung_up {
            Some(hung_up) => failed("write to")(hung_up),
            None => failed("read from")(error),
        });
    }
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(Error::TooLong(length));
    }
    let mut bytes = Vec::new();
    // A reply that ends early is found out as JSON that does.
    stream.take(length.into()).read_to_end(&mut bytes).map_err(failed("read from"))?;
    Reply::parse(&bytes)
}

fn send(stream: &mut UnixStream, frame: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let sent = fd.map_or(Ok(0), |fd| pass::send(&stream, frame, fd))?;
    stream.write_all(frame.get(sent..).unwrap_or_default())
}
