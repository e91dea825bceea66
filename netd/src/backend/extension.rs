//! `extension`: commands of the administrator's connect the hosts. What is run and with which words is
//! decided here; it is run by the agent.

use std::collections::BTreeMap;

use cni::json::{self, Value};
use serde::Deserialize;

use super::InvalidBackend;
use crate::lease::LeaseValue;
use crate::underlay::Underlay;

/// What only a shell understands. Blanks and `$` flannel understands, too.
const SHELL: &[char] =
    &[';', '&', '|', '<', '>', '(', ')', '`', '\'', '"', '\\', '*', '?', '[', '#', '~', '\n'];

/// The keys of `Backend`, and what the first command has said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Conf {
    pre_startup_command: String,
    post_startup_command: String,
    subnet_add_command: String,
    subnet_remove_command: String,
    shutdown_command: String,
    #[serde(skip)]
    said: Option<String>,
}

/// When a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before there is a lease; what it prints is published.
    PreStartup,
    /// Once there is one.
    PostStartup,
    /// Another host is there, or publishes something else.
    SubnetAdd,
    /// It is gone.
    SubnetRemove,
    /// What the agent has made is removed.
    Shutdown,
}

impl Hook {
    /// Its key.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::PreStartup => "PreStartupCommand",
            Self::PostStartup => "PostStartupCommand",
            Self::SubnetAdd => "SubnetAddCommand",
            Self::SubnetRemove => "SubnetRemoveCommand",
            Self::Shutdown => "ShutdownCommand",
        }
    }
}

impl Conf {
    pub(super) fn parse(options: &Value) -> Result<Self, InvalidBackend> {
        json::decode_at("Backend", options).map_err(|error| InvalidBackend::Key {
            what: error.msg,
            example: r#"{"Type": "extension", "SubnetAddCommand": "/usr/local/bin/add-peer $SUBNET"}"#,
        })
    }

    /// The words of a command, the program first; none where there is no such command. As flannel
    /// does it: divided at blanks, then variables are put in, so that their blanks divide nothing.
    /// With a shell, it gets the text as it is.
    #[must_use]
    pub fn words(&self, hook: Hook, shell: bool, env: &BTreeMap<String, String>) -> Vec<String> {
        let text = self.text(hook);
        if text.trim().is_empty() {
            return Vec::new();
        }
        if shell {
            return ["sh", "-c", text].map(str::to_owned).into();
        }
        text.split_whitespace().map(|word| expand(word, env)).collect()
    }

    /// # Errors
    /// Where a command is for a shell, and none is allowed on this host.
    pub(super) fn fits(&self, shell: bool) -> Result<(), InvalidBackend> {
        let all = [
            Hook::PreStartup,
            Hook::PostStartup,
            Hook::SubnetAdd,
            Hook::SubnetRemove,
            Hook::Shutdown,
        ];
        for hook in all.into_iter().filter(|_| !shell) {
            let text = self.text(hook).replace("$(", "(");
            if let Some(sign) = text.chars().find(|c| SHELL.contains(c)) {
                return Err(InvalidBackend::NeedsShell { key: hook.key(), sign });
            }
        }
        Ok(())
    }

    /// With what the first command has printed.
    #[must_use]
    pub fn with_said(self, said: Option<String>) -> Self {
        Self { said, ..self }
    }

    /// The interface's address is published, also where `--public-ip` says another: so does flannel.
    pub(super) fn publish(&self, underlay: &Underlay, value: &mut LeaseValue) {
        value.public_ip = underlay.v4;
        value.public_ipv6 = underlay.v6;
        "extension".clone_into(&mut value.backend_type);
        value.backend_data = self.said.as_deref().map(Value::from);
    }

    fn text(&self, hook: Hook) -> &str {
        match hook {
            Hook::PreStartup => &self.pre_startup_command,
            Hook::PostStartup => &self.post_startup_command,
            Hook::SubnetAdd => &self.subnet_add_command,
            Hook::SubnetRemove => &self.subnet_remove_command,
            Hook::Shutdown => &self.shutdown_command,
        }
    }
}

/// Puts variables in, `$NAME` and `${NAME}`; one that is not set is nothing. A `$` before anything
/// else stays (Go's `os.Expand`).
fn expand(word: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, left) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            Some((name, left)) => (name, left),
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
            }
        };
        if name.is_empty() {
            out.push('$');
        }
        out.push_str(env.get(name).map_or("", String::as_str));
        rest = left;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::super::tests::{backend, underlay};
    use super::super::{Backend, InvalidBackend};
    use super::*;

    fn conf(text: &str) -> Conf {
        let text = format!(r#"{{"Type":"extension","SubnetAddCommand":{text:?}}}"#);
        let Backend::Extension(conf) = backend(&text).unwrap() else { panic!("{text}") };
        conf
    }

    #[test]
    fn words_are_divided_at_blanks_and_then_variables_are_put_in() {
        let env = [("SUBNET", "10.5.9.0/24"), ("TWO", "a b")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let words = |text: &str| conf(text).words(Hook::SubnetAdd, false, &env);
        assert_eq!(
            words("ip  route add $SUBNET dev ${TWO}x cost$ $NONE $$SUBNET"),
            ["ip", "route", "add", "10.5.9.0/24", "dev", "a bx", "cost$", "", "$10.5.9.0/24"]
        );
        assert!(words("  ").is_empty());
        assert!(conf("true").words(Hook::PreStartup, false, &env).is_empty());
        assert_eq!(conf("a; b").words(Hook::SubnetAdd, true, &env), ["sh", "-c", "a; b"]);
    }

    #[test]
    fn what_only_a_shell_understands_is_refused_without_one() {
        for (text, sign) in [
            ("read a; b", ';'),
            ("a && b", '&'),
            ("a $(b)", '('),
            ("a 'b c'", '\''),
            ("a \"$SUBNET\"", '"'),
            ("a | b", '|'),
        ] {
            let key = "SubnetAddCommand";
            assert_eq!(conf(text).fits(false), Err(InvalidBackend::NeedsShell { key, sign }));
            assert_eq!(conf(text).fits(true), Ok(()));
        }
        let error = conf("a;b").fits(false).unwrap_err().to_string();
        assert!(error.contains("--extension-shell"), "{error}");
        assert_eq!(conf("ip route add $SUBNET via ${PUBLIC_IP} dev eth0").fits(false), Ok(()));
    }

    #[test]
    fn what_the_first_command_prints_is_published_as_a_string_with_the_interface_s_address() {
        let nat = Underlay { public_v4: [203, 0, 113, 1].into(), ..underlay(false) };
        let bytes = |said: Option<&str>| {
            let backend = Backend::Extension(conf("true").with_said(said.map(str::to_owned)));
            let value = backend.publish(&nat, &BTreeMap::new()).unwrap();
            String::from_utf8(value.encode()).unwrap()
        };
        let start = r#"{"PublicIP":"10.0.0.1","PublicIPv6":null,"BackendType":"extension""#;
        assert_eq!(bytes(Some("a\"b")), format!(r#"{start},"BackendData":"a\"b"}}"#));
        assert_eq!(bytes(None), format!("{start}}}"));
    }
}
