//! All the places where calls are cut.

use std::collections::BTreeMap;

use crate::point::{At, Errno, Ground, How, Point, Recovery, Verb};

/// How often a call with a verb, of a plugin, makes a system call of that name, or sends a
/// `message`.
pub(crate) type Calls = BTreeMap<(Ground, Verb, usize, String), usize>;

/// Among the names of system calls, a netlink message.
const MESSAGE: &str = "message";

/// The last system call of a program.
const END: &str = "exit_group";

/// System calls about the process itself and its memory, and `close`, whose answer nobody can act
/// on: made to fail, they say nothing about the network.
const OWN: &str = "execve brk mmap munmap mprotect mremap madvise arch_prctl set_tid_address \
                   set_robust_list rseq prlimit64 rt_sigaction rt_sigprocmask sigaltstack poll \
                   gettid getpid getrandom close exit_group exit restart_syscall";

/// What changes nothing that outlives the process: it reads, or is about its own descriptors and
/// namespaces. Every call that is neither here nor in [`OWN`] is one that may change something.
const READS: &str = "access bind fcntl flock fstat fstatfs getdents64 getsockname getsockopt ioctl \
                     lseek lstat pread64 read readlink readlinkat recvfrom recvmsg setns \
                     setsockopt socket socketpair stat statx";

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

/// The points at which to cut calls that do so much, each once for DEL and once for GC.
pub(crate) fn points(calls: &Calls) -> Vec<Point> {
    let mut points = Vec::new();
    for ((ground, verb, plugin, name), count) in calls {
        for number in 0..*count {
            let (at, errors) = if name == MESSAGE {
                (At::Message(number), MESSAGE_ERRORS)
            } else {
                (At::Call(name.clone(), number + 1), CALL_ERRORS)
            };
            for how in ways(*ground, *verb, name, errors[number % errors.len()]) {
                for recovery in [Recovery::Del, Recovery::Gc] {
                    let (ground, verb, plugin, at) = (*ground, *verb, *plugin, at.clone());
                    points.push(Point { ground, verb, plugin, at, how, recovery });
                }
            }
        }
    }
    points
}

/// How to cut at a place.
///
/// Death comes before the call is made. So it is the same at each call from behind one that changes
/// something up to the next one that does, that included, and the program is killed there alone;
/// after the last of them, where it ends. Failure is another at each call, as what the program does
/// then is. What fails from there on (ADD, on a used host) is what changes something.
fn ways(ground: Ground, verb: Verb, name: &str, errno: Errno) -> Vec<How> {
    let among = |list: &str| list.split_whitespace().any(|other| other == name);
    let (own, changes) = (among(OWN), !among(OWN) && !among(READS));
    let mut ways = Vec::new();
    if changes || name == END {
        ways.push(How::Killed);
    }
    if !own {
        ways.push(How::Failed(errno));
    }
    if changes && (ground, verb) == (Ground::Used, Verb::Add) {
        ways.push(How::Broken(errno));
    }
    // A fresh host adds nothing to DEL: ADD has made it a used one.
    if (ground, verb) == (Ground::Fresh, Verb::Del) { Vec::new() } else { ways }
}
