//! What a program needs beside itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The libraries a program is linked with, the dynamic loader among them; none for a static one.
///
/// # Errors
///
/// When `ldd` cannot be run, or a library is missing.
pub(crate) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("run ldd {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("not found") {
        bail!("{} lacks a library: {text}", program.display());
    }
    // `ldd` fails for static programs, and for scripts.
    let words = text.lines().filter_map(|line| line.split(" (0x").next());
    let paths = words.filter_map(|words| words.split(" => ").last());
    Ok(paths.map(|path| PathBuf::from(path.trim())).filter(|path| path.is_absolute()).collect())
}

/// The path with the links of its directory resolved: what stands in `/lib` is in `/usr/lib`.
pub(super) fn merged(path: &Path) -> Result<PathBuf> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        bail!("{} is no file", path.display());
    };
    Ok(dir.canonicalize().with_context(|| format!("resolve {}", dir.display()))?.join(name))
}
