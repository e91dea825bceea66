use std::fs::read_to_string;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink, socket_with};

use super::*;
use crate::testing::in_new_host;

fn packet() -> OwnedFd {
    socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap()
}

fn netfilter() -> OwnedFd {
    let protocol = Some(netlink::NETFILTER);
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .unwrap();
    // Only bound ones are listed.
    bind(&socket, &SocketAddrNetlink::new(0, 0)).unwrap();
    socket
}

/// Whether the socket with that inode is among the namespace's.
fn lives(table: &str, inode: u64) -> bool {
    let all = read_to_string(format!("/proc/thread-self/net/{table}")).unwrap();
    all.lines().any(|line| line.split_whitespace().last() == Some(&inode.to_string()))
}

/// Waits until the socket with that inode is closed.
fn wait_until_gone(table: &str, inode: u64) {
    let (_never, tick) = channel::<()>();
    let end = Instant::now() + Duration::from_secs(10);
    while lives(table, inode) {
        assert!(Instant::now() < end, "socket {inode} of {table} is still open");
        assert_eq!(tick.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    }
}

fn inode(socket: impl AsFd) -> u64 {
    rustix::fs::fstat(socket).unwrap().st_ino
}

#[test]
fn the_kernel_closes_the_socket() {
    in_new_host(|| {
        for (table, socket) in [("packet", packet()), ("netlink", netfilter())] {
            let inode = inode(&socket);
            assert!(lives(table, inode));
            close_in_background(socket);
            wait_until_gone(table, inode);
        }
    });
}

#[test]
fn all_of_many_are_closed() {
    in_new_host(|| {
        let sockets: Vec<OwnedFd> = (0..40).map(|_| packet()).collect();
        let inodes: Vec<u64> = sockets.iter().map(inode).collect();
        assert!(inodes.iter().all(|inode| lives("packet", *inode)));
        close_together(sockets);
        // A program that another test starts at this moment has duplicates until it is executed.
        inodes.iter().for_each(|inode| wait_until_gone("packet", *inode));
        close_together(Vec::new());
    });
}

#[test]
fn the_caller_has_no_descriptor_of_it_left() {
    in_new_host(|| {
        let socket = packet();
        let (inode, number) = (inode(&socket), socket.as_raw_fd());
        close_in_background(socket);
        let target = std::fs::read_link(format!("/proc/self/fd/{number}"));
        let same = target.is_ok_and(|t| t.to_string_lossy() == format!("socket:[{inode}]"));
        assert!(!same, "descriptor {number} is still open");
    });
}

#[test]
fn the_caller_does_not_wait() {
    in_new_host(|| {
        let total = |close: fn(OwnedFd)| {
            let time = |_| {
                let socket = packet();
                let start = Instant::now();
                close(socket);
                start.elapsed()
            };
            (0..20).map(time).sum::<Duration>()
        };
        let (waiting, background) = (total(drop), total(close_in_background));
        assert!(background < waiting / 2, "{background:?} in the background, {waiting:?} else");
    });
}
