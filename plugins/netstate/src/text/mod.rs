//! The command an operation stands for.
//!
//! Logs, `--dry-run`, CHECK errors, golden files and the reference pages show this one text. It is
//! for reading and for `sh` with iproute2 6.1 and nft 1.0.6; nothing here or in crate `kernel`
//! runs it. What the commands do is tested by running them (`tests/commands.rs`).

mod link;
mod nft;
mod route;
mod shell;
mod wireguard;

use std::fmt;

use crate::name::Ns;
use crate::op::{Mode, Op, Step};
use crate::plan::Plan;
use shell::{Line, Place, View};

/// How the namespaces of steps are written in commands.
///
/// The default is for commands that are run in the host's namespace, with the others' in variables. A
/// path below `/run/netns` is written by its name (`ip -n NAME`), any other as it is
/// (`nsenter --net=PATH ip`), and an empty one as the variable (`nsenter --net="$CNI_NETNS" ip`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NsNames {
    /// Path of the container's namespace, or the variable `CNI_NETNS`.
    pub container: String,
    /// Path of the overlay network's namespace, or the variable `OVERLAY_NETNS`.
    pub overlay: String,
}

impl Step {
    /// The command, to be run in the host's namespace. One line, but for tables and chains, which
    /// are read from a here-document; several commands are joined by `&&`.
    #[must_use]
    pub fn command(&self, names: &NsNames) -> String {
        let view = View { own: Some(&self.ns), names: Some(names) };
        join(&lines(&self.op, self.mode == Mode::Replace, &view), |line| {
            let ns = line.ns.as_ref().unwrap_or(&self.ns);
            names.place(ns)
        })
    }
}

impl Plan {
    /// The commands in order, each to be run in the host's namespace.
    pub fn commands<'a>(&'a self, names: &'a NsNames) -> impl Iterator<Item = String> + 'a {
        self.steps.iter().map(|step| step.command(names))
    }
}

/// The command without its namespace.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&lines(self, false, &View { own: None, names: None }), |_| Place::Here))
    }
}

/// The command with its namespace, the container's being `"$CNI_NETNS"`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command(&NsNames::default()))
    }
}

/// One command a line, the container's namespace being `"$CNI_NETNS"`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl NsNames {
    fn place(&self, ns: &Ns) -> Place<'_> {
        let (path, variable) = match ns {
            Ns::Host => return Place::Here,
            Ns::Container => (&self.container, "CNI_NETNS"),
            Ns::Overlay => (&self.overlay, "OVERLAY_NETNS"),
        };
        if path.is_empty() {
            return Place::Variable(variable);
        }
        name(path).map_or(Place::Path(path), Place::Named)
    }
}

/// The name that `ip netns` knows a namespace by.
fn name(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/run/netns/").or_else(|| path.strip_prefix("/var/run/netns/"))?;
    let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('-');
    plain.then_some(name)
}

fn lines(op: &Op, replace: bool, view: &View<'_>) -> Vec<Line> {
    let add = if replace { "replace" } else { "add" };
    match op {
        Op::AddLink { link, peer } => link::add(link, peer.as_ref(), view),
        Op::SetLink { name, changes } => link::set(name, changes),
        Op::DelLink(name) => link::del(name),
        Op::AddAddr(addr) => route::add_addr(addr),
        Op::DelAddr(addr) => route::del_addr(addr),
        Op::AddRoute(route) => route::route(add, route),
        Op::DelRoute(route) => route::route("del", route),
        Op::AddNeigh(neigh) => route::add_neigh(add, neigh),
        Op::DelNeigh(neigh) => route::del_neigh(neigh),
        Op::AddFdb(fdb) => route::add_fdb(replace, fdb),
        Op::DelFdb(fdb) => route::del_fdb(fdb),
        Op::AddWgPeer(peer) => wireguard::add_peer(peer),
        Op::DelWgPeer(peer) => wireguard::del_peer(peer),
        Op::AddRule(rule) => route::rule("add", rule),
        Op::DelRule(rule) => route::rule("del", rule),
        Op::SetSysctl { key, value, optional } => route::sysctl(key, value, *optional),
        Op::AddTable(table) => nft::add_table(table),
        Op::DelTable(table) => nft::del_table(table),
        Op::AddChain { table, chain } => nft::add_chain(table, chain),
        Op::AddSet { table, set } => nft::add_set(table, set),
        Op::InsertRule { chain, rule } => nft::insert_rule(chain, rule),
        Op::DelRuleOf { chain, rule } => nft::del_rule(chain, rule),
        Op::FlushChain(chain) => nft::flush_chain(chain),
        Op::AddElement { set, element } => nft::add_element(set, element),
        Op::DelElement { set, element } => nft::del_element(set, element),
    }
}

fn join<'a>(lines: &'a [Line], place: impl Fn(&'a Line) -> Place<'a>) -> String {
    let parts: Vec<String> = lines.iter().map(|line| line.render(&place(line))).collect();
    parts.join(" && ")
}
