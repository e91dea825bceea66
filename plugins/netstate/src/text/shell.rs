//! Commands for `sh`: words, quoting, and where a command is run.

use std::fmt::Write;

use super::NsNames;
use crate::name::Ns;

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Ip,
    /// `ip -6`, where no argument tells the family.
    Ip6,
    Bridge,
    Nft,
    Sysctl,
    Wg,
    Ethtool,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) tool: Tool,
    /// Everything after the program, quoted for `sh`. [`Line::SELF`] stands for the program itself
    /// with its namespace, for commands in commands.
    pub(super) args: String,
    /// Where it must be run, if elsewhere than the operation itself.
    pub(super) ns: Option<Ns>,
}

/// Where a command is run from the host's namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Here,
    Named(&'a str),
    Path(&'a str),
    Variable(&'static str),
}

/// From where an operation sees the other namespaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// The namespace of the operation, where it is known.
    pub(super) own: Option<&'a Ns>,
    /// How namespaces are written, where the command is to be run.
    pub(super) names: Option<&'a NsNames>,
}

impl View<'_> {
    /// What `netns` in `ip link add` must say for a link born in `target`; nothing if it is born
    /// where the command runs.
    pub(super) fn netns(&self, target: &Ns) -> Option<String> {
        if self.own == Some(target) {
            return None;
        }
        match (self.names, target) {
            (None, Ns::Host) => None,
            (None, Ns::Container) => Some("container".to_owned()),
            (None, Ns::Overlay) => Some("overlay".to_owned()),
            // The shell that runs the commands is in the host's namespace.
            (Some(names), _) => Some(match names.place(target) {
                Place::Here => "/proc/$$/ns/net".to_owned(),
                Place::Named(name) => quote(name),
                Place::Path(path) => quote(path),
                Place::Variable(variable) => format!("\"${variable}\""),
            }),
        }
    }
}

impl Line {
    /// Stands for the program with its namespace in [`Line::args`].
    pub(super) const SELF: char = '\u{1}';

    pub(super) fn new(tool: Tool, args: impl Into<String>) -> Self {
        Self { tool, args: args.into(), ns: None }
    }

    pub(super) fn render(&self, place: &Place<'_>) -> String {
        let program = program(self.tool, place);
        format!("{program} {}", self.args.replace(Self::SELF, &program))
    }
}

/// Words of a command, separated by a space.
#[derive(Debug, Default)]
pub(super) struct Words(String);

impl Words {
    /// Starts with words that need no quoting.
    pub(super) fn new(start: &str) -> Self {
        Self(start.to_owned())
    }

    /// A word that needs no quoting.
    pub(super) fn word(&mut self, word: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(word);
    }

    /// A keyword and a value that is quoted if it must be.
    pub(super) fn pair(&mut self, key: &str, value: impl std::fmt::Display) {
        self.word(key);
        let _ = write!(self.0, " {}", quote(&value.to_string()));
    }

    /// [`Words::pair`] where there is a value.
    pub(super) fn pair_if(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.pair(key, value);
        }
    }

    pub(super) fn into_line(self, tool: Tool) -> Line {
        Line::new(tool, self.0)
    }
}

/// The word as `sh` reads it back unchanged (POSIX, Shell Command Language, 2.2).
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn program(tool: Tool, place: &Place<'_>) -> String {
    let name = match tool {
        Tool::Ip => "ip",
        Tool::Ip6 => "ip -6",
        Tool::Bridge => "bridge",
        Tool::Nft => "nft",
        Tool::Sysctl => "sysctl",
        Tool::Wg => "wg",
        Tool::Ethtool => "ethtool",
    };
    match (place, tool) {
        (Place::Here, _) => name.to_owned(),
        (Place::Named(ns), Tool::Ip | Tool::Ip6 | Tool::Bridge) => {
            format!("{name} -n {}", quote(ns))
        }
        (Place::Named(ns), Tool::Nft | Tool::Sysctl | Tool::Wg | Tool::Ethtool) => {
            format!("ip netns exec {} {name}", quote(ns))
        }
        (Place::Path(path), _) => format!("nsenter --net={} {name}", quote(path)),
        (Place::Variable(variable), _) => format!("nsenter --net=\"${variable}\" {name}"),
    }
}
