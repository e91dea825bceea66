//! The text of `netd run --help`.

use super::table::OPTIONS;
use super::table::Value::{List, Many, One, Refused, Switch};

/// An option as the usage shows it: its name, the word for its value (empty for a switch), what it does.
pub type Shown = (&'static str, &'static str, &'static str);

/// The options of `netd run` that the usage shows, in its order.
pub fn shown() -> impl Iterator<Item = Shown> {
    let rows = OPTIONS.iter().filter(|row| !row.help.is_empty()).map(|row| {
        let value = match row.value {
            Switch | Refused => "",
            One(word) | Many(word) | List(word) => word,
        };
        (row.name, value, row.help)
    });
    let first = ("config", "FILE", "a TOML file of options");
    let last = [("version", "", "print the version and end"), ("help", "", "print this and end")];
    std::iter::once(first).chain(rows).chain(last)
}

/// What `netd run --help` prints.
#[must_use]
pub fn usage() -> String {
    let mut text = "Run the agent: lease a subnet, connect it with all others, keep it so\n\n\
        Usage: netd run [OPTIONS]\n       netd -OPTION ...   (as flanneld is called)\n\n\
        One dash or two; --option value or --option=value; a switch alone is true.\n\
        The same options as variables (NETD_ETCD_PREFIX, FLANNELD_ETCD_PREFIX) and as keys of the\n\
        file of --config (etcd-prefix = \"/a\"). The command line comes before variables, NETD_\n\
        before FLANNELD_, and all of them before the file.\n\nOptions:\n"
        .to_owned();
    for (name, value, help) in shown() {
        let left = format!("--{name} {value}");
        text.push_str(&format!("  {:32} {help}\n", left.trim_end()));
    }
    text
}
