//! A file descriptor beside the bytes of a stream socket (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sends bytes with a file descriptor; gives how many went. It goes with the first of them, so the
/// rest is written as usual.
///
/// # Errors
/// Of sendmsg(2).
pub fn send(socket: impl AsFd, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    // The space is for one.
    beside.push(SendAncillaryMessage::ScmRights(&fds));
    // Who hangs up is an error like others, not the end of the process.
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?)
}

/// Receives bytes, and a file descriptor if one came with them; of several the last. Gives how many
/// bytes came; none is the end.
///
/// # Errors
/// Of recvmsg(2).
pub fn receive(socket: impl AsFd, bytes: &mut [u8], fd: &mut Option<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(bytes)];
    let received = recvmsg(socket, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            *fd = fds.last().or(fd.take());
        }
    }
    Ok(received.bytes)
}
