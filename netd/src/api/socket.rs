//! Opening a socket in the run directory, and who may ask there.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

/// Opens the socket, for root and root's group: see [`refusal`]. It takes the place of one that is there, without a moment in
/// which there is none; that nobody else serves that one is for the caller to know.
///
/// # Errors
/// The directory, or the socket in it, cannot be made.
pub fn open(path: &Path) -> io::Result<StdListener> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let draft = netd_api::file::draft(path);
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = StdListener::bind(&draft)?;
    std::fs::set_permissions(&draft, Permissions::from_mode(0o660))?;
    std::fs::rename(&draft, path)?;
    Ok(listener)
}

/// The same, to be served here. Needs a tokio runtime.
///
/// # Errors
/// As [`open`].
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    adopt(open(path)?)
}

/// Serves a socket that somebody opened. Needs a tokio runtime.
///
/// # Errors
/// What fcntl(2) and epoll_ctl(2) say.
pub fn adopt(listener: StdListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Why a client is not answered, whatever the file's mode has become: it is neither root nor of root's group,
/// by the user and the group that it had when it connected. `None` where it is.
///
/// # Errors
/// What getsockopt(2) says.
pub fn refusal(client: &UnixStream) -> io::Result<Option<String>> {
    let peer = client.peer_cred()?;
    let (uid, gid) = (peer.uid(), peer.gid());
    Ok((uid != 0 && gid != 0)
        .then(|| format!("only root and group root may ask, and user {uid} of group {gid} does")))
}
