//! One question, for programs that ask once and end.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Error, LONGEST, Reply, Request, Subnet};

/// How long netd may take for each step; it answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks netd for the host's subnet.
///
/// # Errors
/// [`Error::Absent`] where no netd runs; the others where one does.
pub fn subnet(socket: &Path) -> Result<Subnet, Error> {
    match ask(socket, Request::Subnet)? {
        Reply::Subnet(subnet) => Ok(subnet),
        Reply::Error(reason) => Err(Error::Refused(reason)),
    }
}

fn ask(socket: &Path, request: Request) -> Result<Reply, Error> {
    let failed = |action: &'static str| {
        move |source: io::Error| Error::Socket { action, socket: socket.to_owned(), source }
    };
    let mut stream = UnixStream::connect(socket).map_err(|source| {
        if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            return Error::Absent { socket: socket.to_owned(), source };
        }
        failed("connect to")(source)
    })?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.write_all(&request.frame()))
        .map_err(failed("write to"))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(failed("read from"))?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(Error::TooLong(length));
    }
    let mut bytes = Vec::new();
    // A reply that ends early is found out as JSON that does.
    stream.take(length.into()).read_to_end(&mut bytes).map_err(failed("read from"))?;
    Reply::parse(&bytes)
}
