//! All the places where calls are cut.

use std::collections::BTreeMap;

use crate::point::{At, Errno, Ground, How, Point, Recovery, Verb};

type Way = (How, Recovery);

/// How often a call with a verb, of a plugin, makes a system call of that name, or sends a
/// `message`.
pub(crate) type Calls = BTreeMap<(Ground, Verb, usize, String), usize>;

/// Among the names of system calls, a netlink message.
const MESSAGE: &str = "message";

/// System calls about the process itself: their failing says nothing about the network, and death
/// at them is that at the one before or after.
const OWN: &str = "execve brk mmap munmap mprotect mremap madvise arch_prctl set_tid_address \
                   set_robust_list rseq prlimit64 rt_sigaction rt_sigprocmask sigaltstack poll \
                   gettid getpid getrandom close exit_group exit restart_syscall";

/// What changes files or the network, beside messages.
const CHANGES: &str = "fchmodat ftruncate linkat mkdir open pwrite64 rename renameat2 rmdir sendto \
                       unlink unlinkat utimensat write";

const CALL_ERRORS: [Errno; 3] = [
    Errno { name: "EIO", number: 5 },
    Errno { name: "ENOSPC", number: 28 },
    Errno { name: "ENOMEM", number: 12 },
];
const MESSAGE_ERRORS: [Errno; 3] = [
    Errno { name: "EPERM", number: 1 },
    Errno { name: "ENOMEM", number: 12 },
    Errno { name: "EBUSY", number: 16 },
];

/// The points at which to cut calls that do so much.
pub(crate) fn points(calls: &Calls) -> Vec<Point> {
    let mut points = Vec::new();
    for ((ground, verb, plugin, name), count) in calls {
        if OWN.split_whitespace().any(|own| own == name) {
            continue;
        }
        let changes = name == MESSAGE || CHANGES.split_whitespace().any(|change| change == name);
        for number in 0..*count {
            let (at, errors) = if name == MESSAGE {
                (At::Message(number), MESSAGE_ERRORS)
            } else {
                (At::Call(name.clone(), number + 1), CALL_ERRORS)
            };
            let errno = errors[number % errors.len()];
            for (how, recovery) in ways(*ground, *verb, changes, number, errno) {
                let (ground, verb, plugin, at) = (*ground, *verb, *plugin, at.clone());
                points.push(Point { ground, verb, plugin, at, how, recovery });
            }
        }
    }
    points
}

/// How to cut at a place, and who cleans up: each of two after what is done to the network, or left
/// undone; at what changes nothing, where all is as at the change before, one and then the other.
/// A fresh host adds changes to ADD, and nothing to DEL.
fn ways(ground: Ground, verb: Verb, changes: bool, nth: usize, errno: Errno) -> Vec<Way> {
    let each = |how| {
        let both = [(how, Recovery::Del), (how, Recovery::Gc)];
        if changes { both.to_vec() } else { vec![both[nth % 2]] }
    };
    let failed = (How::Failed(errno), Recovery::Both);
    match (ground, verb) {
        (Ground::Fresh, Verb::Add) if changes => [each(How::Killed), vec![failed]].concat(),
        (Ground::Fresh, _) => Vec::new(),
        (Ground::Used, Verb::Add) if changes => {
            [each(How::Killed), vec![failed], each(How::Broken(errno))].concat()
        }
        (Ground::Used, Verb::Add) => [each(How::Killed), vec![failed]].concat(),
        (Ground::Used, Verb::Del) => [each(How::Killed), each(How::Failed(errno))].concat(),
    }
}
