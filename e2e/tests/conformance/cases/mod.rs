//! The configurations that both sets of plugins run.
//!
//! Names that begin with `invalid` are of configurations the reference refuses on DEL as well, with
//! `late` of those it refuses with a container half wired.

pub(crate) mod addresses;
pub(crate) mod bridge;
pub(crate) mod chained;
pub(crate) mod macvlan;

use serde_json::{Value, json};

/// Every version the reference plugins of Debian 12 (1.1.1) speak.
const ALL: [&str; 6] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];
/// Where the configuration is what matters.
const ONE: [&str; 1] = ["1.0.0"];

/// A configuration and what goes with it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) plugins: Value,
    pub(crate) args: &'static str,
    pub(crate) capability_args: Value,
    pub(crate) versions: &'static [&'static str],
    /// A script that prepares the host.
    pub(crate) setup: &'static str,
    /// What the reference's error says, and ours has to say as well; empty where ADD succeeds.
    pub(crate) error: &'static str,
}

impl Case {
    fn new(name: &'static str, plugins: Value) -> Self {
        let plugins = if plugins.is_array() { plugins } else { json!([plugins]) };
        Self {
            name,
            plugins,
            args: "",
            capability_args: json!({}),
            versions: &ONE,
            setup: "",
            error: "",
        }
    }

    fn versions(mut self, versions: &'static [&'static str]) -> Self {
        self.versions = versions;
        self
    }

    fn args(mut self, args: &'static str) -> Self {
        self.args = args;
        self
    }

    fn capability_args(mut self, args: Value) -> Self {
        self.capability_args = args;
        self
    }

    fn setup(mut self, script: &'static str) -> Self {
        self.setup = script;
        self
    }

    fn fails(mut self, words: &'static str) -> Self {
        self.error = words;
        self.versions = &ONE;
        self
    }

    /// The MACs that this case asks for.
    pub(crate) fn keeps(&self) -> Vec<String> {
        let asked = ["c2:11:22:33:44:55", "c2:11:22:33:44:66"];
        asked.map(str::to_owned).to_vec()
    }
}

fn v4() -> Value {
    json!({"type": "host-local", "subnet": "10.1.0.0/24"})
}

fn dual() -> Value {
    json!({"type": "host-local", "ranges": [
        [{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]})
}

/// A configuration of `bridge` with these keys; without `ipam` where that is null.
fn on_bridge(mut more: Value, ipam: Value) -> Value {
    if let Some(map) = more.as_object_mut() {
        map.insert("type".to_owned(), "bridge".into());
        if !ipam.is_null() {
            map.insert("ipam".to_owned(), ipam);
        }
    }
    more
}
