//! The command an operation stands for.

/// How the namespaces of steps are written in commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NsNames {
    /// Path of the container's namespace.
    pub container: String,
}
