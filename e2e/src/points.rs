//! Points at which programs are cut: which system calls matter, and trying points side by side.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};

/// Wrong points after which no more are tried: each costs a new site.
const ENOUGH: usize = 40;

/// Where the program of profile `inject` is on hosts.
pub const INJECT: &str = "/opt/inject/netd";

/// From when there is such a file on, places of an agent that runs count (`NETD_INJECT_FROM`).
pub const FROM: &str = "/run/cut-from";

/// The last system call of a program.
pub const END: &str = "exit_group";

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

/// What a program is made to meet at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// SIGKILL, before it is done.
    Killed,
    /// A failure once, with this error.
    Failed(Errno),
    /// Failures from there on, so that what was done cannot be taken back either.
    Broken(Errno),
}

/// An error of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Errno {
    /// As strace calls it.
    pub name: &'static str,
    /// As the kernel numbers it.
    pub number: i32,
}

impl Errno {
    /// Not permitted.
    pub const EPERM: Self = Self::new("EPERM", 1);
    /// Input or output failed.
    pub const EIO: Self = Self::new("EIO", 5);
    /// No memory.
    pub const ENOMEM: Self = Self::new("ENOMEM", 12);
    /// In use.
    pub const EBUSY: Self = Self::new("EBUSY", 16);
    /// No space on the device.
    pub const ENOSPC: Self = Self::new("ENOSPC", 28);
    /// The connection was reset.
    pub const ECONNRESET: Self = Self::new("ECONNRESET", 104);

    const fn new(name: &'static str, number: i32) -> Self {
        Self { name, number }
    }
}

impl How {
    /// At the nth place of a kind, from 0: `NETD_INJECT` (crate `kernel`, module `inject`).
    #[must_use]
    pub fn wish(self, kind: &str, nth: usize) -> String {
        match self {
            Self::Killed => format!("{kind}:kill:{nth}"),
            Self::Failed(errno) => format!("{kind}:fail:{nth}:{}", errno.number),
            Self::Broken(errno) => format!("{kind}:break:{nth}:{}", errno.number),
        }
    }

    /// At the nth system call of a name, from 1: options of strace.
    #[must_use]
    pub fn options(self, call: &str, nth: usize) -> [String; 2] {
        let cut = match self {
            Self::Killed => format!("signal=KILL:when={nth}"),
            Self::Failed(errno) => format!("error={}:when={nth}", errno.name),
            Self::Broken(errno) => format!("error={}:when={nth}+", errno.name),
        };
        [format!("--trace={call}"), format!("--inject={call}:{cut}")]
    }
}

/// Whether a system call is about the process itself.
#[must_use]
pub fn is_own(call: &str) -> bool {
    among(OWN, call)
}

/// Whether a system call may change something that outlives the process.
#[must_use]
pub fn may_change(call: &str) -> bool {
    !is_own(call) && !among(READS, call)
}

/// Tries points side by side, each worker on a site of its own, and on a new one after a point that
/// was wrong. Gives what is wrong at the points at which something is.
///
/// # Errors
///
/// When a site cannot be made, or an attempt fails otherwise than by a wrong point.
pub fn try_all<P: Send + std::fmt::Display, S>(
    workers: usize,
    points: Vec<P>,
    site: impl Fn(usize) -> Result<S> + Sync,
    attempt: impl Fn(&mut S, &P) -> Result<Option<String>> + Sync,
) -> Result<Vec<String>> {
    let queue = Mutex::new(points.into_iter());
    let wrong = Mutex::new(Vec::new());
    let sites = AtomicUsize::new(0);
    let next = || -> Result<Option<P>> {
        let enough = wrong.lock().ok().context("a worker panicked")?.len() >= ENOUGH;
        Ok(queue.lock().ok().context("a worker panicked")?.next().filter(|_| !enough))
    };
    let worker = || -> Result<()> {
        let mut on = site(sites.fetch_add(1, Ordering::Relaxed))?;
        while let Some(point) = next()? {
            if let Some(what) = attempt(&mut on, &point).with_context(|| point.to_string())? {
                // At once: a run that takes too long has told what it knows.
                tell(&what);
                wrong.lock().ok().context("a worker panicked")?.push(what);
                on = site(sites.fetch_add(1, Ordering::Relaxed))?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(_) => bail!("a worker panicked"),
        })
    })?;
    wrong.into_inner().ok().context("a worker panicked")
}

fn tell(what: &str) {
    // There is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn among(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|other| other == name)
}
