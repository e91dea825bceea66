//! Whether CNI_NETNS is the namespace this process runs in.

use super::env::Env;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The namespace of the main thread (proc_pid_ns(5)), the only one of a plugin. The way by
/// `/proc/thread-self` is as long again.
const OWN: &str = "/proc/self/ns/net";

/// Whether CNI_NETNS_OVERRIDE switches the check off.
pub(super) fn is_overridden(env: &Env) -> bool {
    let value = env.text("CNI_NETNS_OVERRIDE");
    value == "1" || value.eq_ignore_ascii_case("true")
}

/// Whether `path` is the namespace of this process. A path that does not exist is not.
pub(super) fn is_own(path: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let own = identity(Path::new(OWN));
    own.is_some() && own == identity(path)
}
