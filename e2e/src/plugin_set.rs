//! Which plugins a test runs: ours, or the reference set to compare with.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::bins;
use crate::command::PATH;
use crate::host::Host;
use crate::place::Place as _;

/// Where every host has its plugins; runtimes look there by default.
pub const CNI_BIN: &str = "/opt/cni/bin";

/// Where Debian keeps the reference plugins (package containernetworking-plugins).
pub const REFERENCE_BIN: &str = "/usr/lib/cni";

/// A set of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PluginSet {
    /// This project's, as `make install` installs them.
    Ours,
    /// The reference plugins.
    Reference,
}

impl PluginSet {
    /// The set that `E2E_PLUGINS` (`ours` or `reference`) names; ours when it is not set.
    ///
    /// # Errors
    ///
    /// When it names anything else.
    pub fn selected() -> Result<Self> {
        match std::env::var("E2E_PLUGINS").as_deref() {
            Ok("reference") => Ok(Self::Reference),
            Ok("ours") | Err(_) => Ok(Self::Ours),
            Ok(other) => bail!("E2E_PLUGINS is {other:?}, but must be ours or reference"),
        }
    }

    /// Installs the set in [`CNI_BIN`] of a host.
    ///
    /// # Errors
    ///
    /// When ours are not built, or the reference plugins not on this machine.
    pub fn install(self, host: &Host) -> Result<()> {
        match self {
            Self::Ours => make_install(&host.path(CNI_BIN)),
            Self::Reference => host.sh(&format!("ln -sf {REFERENCE_BIN}/* {CNI_BIN}/")).map(drop),
        }
    }
}

/// Lends a host single plugins of the reference set, which stand beside ours where ours has none.
///
/// # Errors
///
/// When one of them is not on this machine.
pub fn lend_reference(host: &Host, names: &[&str]) -> Result<()> {
    for name in names {
        let file = Path::new(REFERENCE_BIN).join(name);
        host.copy_program(&file, &format!("{CNI_BIN}/{name}"))?;
    }
    Ok(())
}

/// Installs the plugins in a directory of the machine, as users do.
pub(crate) fn make_install(dir: &Path) -> Result<()> {
    make(&["install-plugins", &format!("CNIDIR={}", dir.display())])
}

/// Installs all that `make install` does below a directory of a host.
///
/// # Errors
///
/// When the programs are not built, or `make` fails.
pub fn install_all(host: &Host, dir: &str) -> Result<()> {
    make(&["install", &format!("DESTDIR={}", host.path(dir).display())])
}

fn make(words: &[&str]) -> Result<()> {
    let built = bins::program("plugins")?;
    let build = built.parent().context("the directory of the plugins")?;
    let output = std::process::Command::new("make")
        .args(["--silent", "--directory", concat!(env!("CARGO_MANIFEST_DIR"), "/..")])
        .args(words)
        .arg(format!("BUILD={}", build.display()))
        .env_clear()
        .env("PATH", PATH)
        .output()
        .context("run make")?;
    if !output.status.success() {
        bail!("make {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
