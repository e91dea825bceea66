//! Where netd writes down the endpoints of containers, for a plugin that finds no netd.

/// The directory in the run directory; in it one for each network, named by its id.
pub const DIR: &str = "endpoints";

/// What an endpoint is called among those of its network. No name of a container holds a slash.
#[must_use]
pub fn key(container: &str, ifname: &str) -> String {
    format!("{container}-{ifname}")
}

/// The name of an endpoint's file.
#[must_use]
pub fn file(key: &str) -> String {
    format!("{key}.json")
}
