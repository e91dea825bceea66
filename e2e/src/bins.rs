//! Where the programs under test are: built by `make build`, never by a test.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

/// The static target all programs are built for.
pub const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-musl"
} else {
    "x86_64-unknown-linux-musl"
};

/// The path of a release program. `E2E_BIN_DIR` names the directory; without, it is looked for in
/// the build directory that the running test came from.
///
/// # Errors
///
/// When it is not built; the error says how to.
pub fn program(name: &str) -> Result<PathBuf> {
    if let Some(path) = find(name) {
        return Ok(path);
    }
    bail!("the program {name} is not built for {TARGET}: run `make build` first")
}

/// The path of a program of profile `inject`, which can be made to fail, beside the release.
///
/// # Errors
///
/// When it is not built; the error says how to.
pub fn injected(name: &str) -> Result<PathBuf> {
    let released = program(name)?;
    let target = released.parent().and_then(|dir| dir.parent()).context("the target directory")?;
    let path = target.join("inject").join(name);
    ensure!(path.exists(), "{} is not built: run `make build` first", path.display());
    Ok(path)
}

/// As [`program`], `None` when it is not built.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("E2E_BIN_DIR") {
        return Some(PathBuf::from(dir).join(name)).filter(|path| path.exists());
    }
    let test = std::env::current_exe().ok()?;
    test.ancestors()
        .map(|dir| dir.join(TARGET).join("release").join(name))
        .find(|path| path.exists())
}
