//! Which kernels a virtual machine can boot: those that `assets/vm/fetch-kernels` got.

use std::env::var_os;
use std::fmt;
use std::path::PathBuf;

/// A kernel of Debian, with all its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// The newest one of this release.
    Full,
    /// The one of the release before, or the oldest the archive still has: the minimum we support.
    Oldest,
}

/// A kernel's files.
#[derive(Debug)]
pub(super) struct Files {
    /// What QEMU starts.
    pub(super) kernel: PathBuf,
    /// An initramfs of its network modules.
    pub(super) modules: PathBuf,
}

impl Kernel {
    /// The kernel's files, `None` when they were not fetched.
    pub(super) fn find(self) -> Option<Files> {
        let cache = var_os("XDG_CACHE_HOME")
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(var_os("HOME")?).join(".cache")))?;
        let dir = cache.join("netd-e2e/kernels").join(self.to_string());
        let files = Files { kernel: dir.join("vmlinux"), modules: dir.join("modules.cpio") };
        (files.kernel.exists() && files.modules.exists()).then_some(files)
    }
}

/// The name of the link in the cache.
impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Oldest => "oldest",
        })
    }
}
