//! Closes sockets whose closing makes the caller wait, without the wait.
//!
//! Closing a netfilter socket after anyone's delete in its namespace waits for `rcu_barrier()`
//! (`nft_rcv_nl_event()`, `net/netfilter/nf_tables_api.c`), and closing a packet socket for
//! `synchronize_net()` (`packet_release()`, `net/packet/af_packet.c`): 6 to 20 ms without use of a
//! processor, of a plugin that has worked for 1. No process, thread or file is left behind here:
//! the kernel's own garbage collector of unix sockets closes the socket.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

/// Closes a socket at once for the caller; the kernel does the work that it comes with soon after.
/// Until then the socket keeps its network namespace alive. Others must hold no duplicate of it.
///
/// It is sent as a message into a pair of unix sockets, together with the receiving end: then
/// nobody can ever receive it, which the kernel finds out when it next closes a unix socket, and
/// that is the sending end (unix(7), "`SCM_RIGHTS`"; `net/unix/garbage.c`). Kernels before 6.9
/// (commit 8b90a9f819dc, in stable updates of 2025 too) do this inside `close()`: there it waits as
/// an ordinary close would, and so it does where the user has too many descriptors in messages.
///
/// The kernel closes such sockets one after the other: for one of each program, not for many.
pub fn close_in_background(socket: impl Into<OwnedFd>) {
    // Whatever fails, the socket is closed: it has been dropped.
    let _ = give_away(socket.into());
}

/// Closes many such sockets, several at the same time: the waits of those are one. It returns when all are closed.
pub fn close_together(mut sockets: Vec<OwnedFd>) {
    const AT_ONCE: usize = 16;
    let share = sockets.len().div_ceil(AT_ONCE);
    std::thread::scope(|scope| {
        while sockets.len() > share {
            let some = sockets.split_off(sockets.len() - share);
            // Without another thread they are closed by this one, where what was to be done is dropped.
            let _ = std::thread::Builder::new().spawn_scoped(scope, move || drop(some));
        }
        drop(sockets);
    });
}

fn give_away(socket: OwnedFd) -> Result<(), Errno> {
    let (kind, flags) = (SocketType::DGRAM, SocketFlags::CLOEXEC);
    let (sender, receiver) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
    let descriptors = [socket.as_fd(), receiver.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    // There is room: it was made for two.
    message.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(&sender, &[IoSlice::new(&[0])], &mut message, SendFlags::DONTWAIT)?;
    // In this order: the last one starts the collection, and must be the last to hold anything.
    drop(socket);
    drop(receiver);
    drop(sender);
    Ok(())
}

#[cfg(test)]
mod tests;
