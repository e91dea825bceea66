//! Virtual machines: Debian's own kernels under QEMU, for what the machine's kernel lacks.
//!
//! One machine boots a kernel with an initramfs made of Debian's programs (`ip`, `nft`, `tcpdump`
//! and so on), the kernel's network modules, and what the test puts in; it runs a list of checks,
//! each a bash script on a fresh host, and powers off. A check's failure leaves the others alone.
//! Nothing is shared with the machine outside: no file, no network. This module decides how a
//! machine is made and what its console says; what is checked is the test's business.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::wait_bounded;
use crate::plugin_set::{CNI_BIN, PluginSet, REFERENCE_BIN, make_install};
use crate::{bins, probe, require, require_programs};

mod archive;
mod console;
mod kernels;
pub(crate) mod programs;
mod turn;

pub use console::{Outcome, Report};
pub use kernels::Kernel;

use archive::Archive;
use turn::Turn;

const QEMU: &str = "qemu-system-x86_64";

/// What every machine has beside busybox's applets, which stand behind them in `PATH`.
const PROGRAMS: [&str; 16] = [
    "bash",
    "bridge",
    "busybox",
    "conntrack",
    "ethtool",
    "ip",
    "modprobe",
    "mount",
    "nft",
    "nsenter",
    "socat",
    "ss",
    "sysctl",
    "tcpdump",
    "timeout",
    "unshare",
];

/// What the reference plugins run.
const REFERENCE_PROGRAMS: [&str; 4] = ["iptables", "iptables-save", "ip6tables", "ip6tables-save"];
const XTABLES: &str = "/usr/lib/x86_64-linux-gnu/xtables";

/// The bound of one check.
const CHECK_BOUND: Duration = Duration::from_secs(60);
/// The bound of a whole machine's life.
const BOUND: Duration = Duration::from_secs(240);
const MEMORY_MIB: u32 = 512;

/// A check of every machine, after all others.
const KERNEL_LOG: (&str, &str) = (
    "the kernel log has no complaint",
    "dmesg | grep -E -A 40 'BUG:|WARNING:|Oops|Call Trace' && exit 1 || true",
);

/// An emulated processor stands still whenever its host has none to spare: what the kernel's watchdogs would
/// complain of is no fault.
const NO_WATCHDOGS: &str =
    "nowatchdog rcupdate.rcu_cpu_stall_suppress=1 workqueue.watchdog_thresh=0";

/// A virtual machine that is not started yet.
#[derive(Debug)]
pub struct Vm {
    kernel: Kernel,
    archive: Archive,
    checks: Vec<(String, String)>,
    check_bound: Duration,
    bound: Duration,
    memory: u32,
}

/// Tells whether machines with `kernel` can run here.
///
/// # Errors
///
/// When they cannot and `E2E_REQUIRE=1`, as [`require()`].
pub fn available(kernel: Kernel) -> Result<bool> {
    Ok(require_programs(&[QEMU])?
        && require_programs(&PROGRAMS)?
        && require(&format!("Debian's kernel {kernel}"), kernel.find().is_some())?)
}

impl Vm {
    /// A machine with Debian's programs and the test probe, and no check.
    ///
    /// # Errors
    ///
    /// When a program is missing.
    pub fn new(kernel: Kernel) -> Result<Self> {
        let mut archive = Archive::default();
        for dir in ["bin", "sbin", "lib", "lib64"] {
            archive.link(dir, &format!("usr/{dir}"));
        }
        for dir in ["busybox", "checks", "dev", "proc", "sys", "run", "root", "tmp", "opt"] {
            archive.dir(dir);
        }
        archive.dir("var/lib");
        archive.link("var/run", "/run");
        archive.file("init", 0o755, include_bytes!("../assets/vm/init").as_slice());
        archive.file("host", 0o755, include_bytes!("../assets/vm/host").as_slice());
        let mut vm = Self {
            kernel,
            archive,
            checks: Vec::new(),
            check_bound: CHECK_BOUND,
            bound: BOUND,
            memory: MEMORY_MIB,
        };
        for name in PROGRAMS {
            vm = vm.program(name)?;
        }
        vm.program_file(&bins::program("e2e-probe")?, probe::PROGRAM)
    }

    /// Puts in one of Debian's programs, at its own place, with the libraries it needs.
    ///
    /// # Errors
    ///
    /// When this machine has no such program, or a library of it cannot be read.
    pub fn program(self, name: &str) -> Result<Self> {
        let path = crate::program(name).with_context(|| format!("find the program {name}"))?;
        let place = programs::merged(&path)?;
        self.program_file(&path, &place.to_string_lossy())
    }

    /// Puts in the program `from` of this machine as `to`, with the libraries it needs.
    ///
    /// # Errors
    ///
    /// When it or a library of it cannot be read.
    pub fn program_file(mut self, from: &Path, to: &str) -> Result<Self> {
        for library in programs::libraries(from)? {
            self.copy(&library, &programs::merged(&library)?.to_string_lossy())?;
        }
        self.copy(from, to)?;
        Ok(self)
    }

    /// Puts in a file with this content, in any format; `mode` as of chmod.
    #[must_use]
    pub fn file(mut self, to: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.archive.file(to, mode, content);
        self
    }

    /// Puts in a set of plugins, in [`CNI_BIN`], and what it runs.
    ///
    /// # Errors
    ///
    /// When ours are not built, or the reference plugins not on this machine.
    pub fn plugins(mut self, set: PluginSet) -> Result<Self> {
        let made = tempfile::tempdir().context("make a directory for plugins")?;
        let dir = match set {
            PluginSet::Ours => made.path(),
            PluginSet::Reference => Path::new(REFERENCE_BIN),
        };
        match set {
            PluginSet::Ours => make_install(dir)?,
            PluginSet::Reference => {
                for name in REFERENCE_PROGRAMS {
                    self = self.program(name)?;
                }
                for library in list(Path::new(XTABLES))? {
                    self.copy(&library, &library.to_string_lossy())?;
                }
            }
        }
        for path in list(dir)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let place = format!("{CNI_BIN}/{name}");
            self = self.program_file(&path, &place)?;
        }
        Ok(self)
    }

    /// Adds a check: a bash script that ends with status 0 when all is well. It runs with `-e`, on a
    /// host of its own, with the functions of `assets/vm/host`.
    #[must_use]
    pub fn check(mut self, name: &str, script: &str) -> Self {
        self.checks.push((name.to_owned(), script.to_owned()));
        self
    }

    /// Sets the longest time one check may take, in whole seconds of the machine's own clock; a
    /// minute by default.
    #[must_use]
    pub fn check_bound(mut self, bound: Duration) -> Self {
        self.check_bound = bound;
        self
    }

    /// Sets the longest time the whole machine may take; four minutes by default.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Sets the machine's memory in MiB; 512 by default.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.memory = mib;
        self
    }

    /// Boots the machine, runs the checks in their order, and tells how each ended.
    ///
    /// # Errors
    ///
    /// When it cannot be started. One that dies or takes too long is a [`Report`] of fewer ends.
    pub fn run(mut self) -> Result<Report> {
        let Some(files) = self.kernel.find() else {
            bail!("no Debian kernel {} here: run e2e/setup", self.kernel);
        };
        let dir = tempfile::tempdir().context("make a directory for a virtual machine")?;
        let (initramfs, console) = (dir.path().join("initramfs"), dir.path().join("console"));
        let names = self.write_initramfs(&files.modules, &initramfs)?;
        let _turn = Turn::wait()?;
        let start = Instant::now();
        let mut child = self
            .qemu(&files.kernel, &initramfs, &console)
            .spawn()
            .with_context(|| format!("start {QEMU}"))?;
        let in_time = wait_bounded(&mut child, self.bound)?.is_some();
        let text = std::fs::read(&console).context("read the console of a virtual machine")?;
        let mut report = Report::read(&names, &String::from_utf8_lossy(&text), start.elapsed());
        if !in_time {
            report.overtime = Some(self.bound);
        }
        Ok(report)
    }

    /// Writes the initramfs and gives the names of all checks.
    fn write_initramfs(&mut self, modules: &Path, to: &Path) -> Result<Vec<String>> {
        self.checks.push((KERNEL_LOG.0.to_owned(), KERNEL_LOG.1.to_owned()));
        for (number, (_, script)) in self.checks.iter().enumerate() {
            self.archive.file(&format!("checks/{number:03}"), 0o644, script.as_bytes());
        }
        let mut file = File::create(to).with_context(|| format!("make {}", to.display()))?;
        self.archive.write(&mut file).context("write the initramfs")?;
        let mut modules = File::open(modules).context("open the kernel's modules")?;
        std::io::copy(&mut modules, &mut file).context("write the kernel's modules")?;
        Ok(self.checks.iter().map(|(name, _)| name.clone()).collect())
    }

    /// The simplest machine that is emulated fastest: one old processor, a serial line, nothing else.
    fn qemu(&self, kernel: &Path, initramfs: &Path, console: &Path) -> Command {
        let append = format!(
            "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable {NO_WATCHDOGS} CHECK_BOUND={}",
            self.check_bound.as_secs()
        );
        let mut command = Command::new(QEMU);
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .args(["-accel", "tcg", "-cpu", "qemu64,+rdrand", "-smp", "1"])
            .args(["-m", &self.memory.to_string()])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", &append])
            .args(["-serial", &format!("file:{}", console.display())])
            .stdin(Stdio::null());
        command
    }

    fn copy(&mut self, from: &Path, to: &str) -> Result<()> {
        let content = std::fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.archive.file(to, 0o755, content);
        Ok(())
    }
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|found| found.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}
