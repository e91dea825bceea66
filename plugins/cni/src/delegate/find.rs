//! Where a plugin's program is.

use crate::error::Error;
use std::path::{Path, PathBuf};

/// The first directory's regular file that has the plugin's name.
///
/// # Errors
/// Code 7 for a name that is empty or a path, 999 when there is no such file.
pub fn find(plugin_type: &str, dirs: &[PathBuf]) -> Result<PathBuf, Error> {
    if plugin_type.is_empty() {
        return Err(Error::config("no plugin name provided"));
    }
    if plugin_type.contains('/') || matches!(plugin_type, "." | "..") {
        return Err(Error::config(format!("invalid plugin name: {plugin_type}")));
    }
    if dirs.is_empty() {
        return Err(Error::internal("no paths provided"));
    }
    let mut candidates = dirs.iter().map(|dir| dir.join(plugin_type));
    candidates.find(|path| path.is_file()).ok_or_else(|| {
        let dirs: Vec<_> = dirs.iter().map(|dir| Path::display(dir).to_string()).collect();
        let dirs = dirs.join(" ");
        Error::internal(format!("failed to find plugin {plugin_type:?} in path [{dirs}]"))
    })
}
