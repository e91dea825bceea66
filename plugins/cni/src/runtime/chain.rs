//! ADD, DEL and CHECK: one attachment through a network's plugins.

use super::list::{NetworkList, PluginConf};
use super::{AttachmentKey, Container, Runtime, all_or_nothing};
use crate::delegate::{self, Call};
use crate::error::{Code, Error};
use crate::json::{self, Value};
use crate::result::AddResult;
use crate::skel::{Env, Verb, validate_container_id, validate_ifname};
use std::ffi::OsString;
use std::path::PathBuf;

impl Runtime {
    /// Attaches a container: ADD of every plugin, each given the result of the one before, and
    /// keeps the last one's result.
    ///
    /// # Errors
    /// The failing plugin's error, after DEL of the plugins up to it in reverse order: nothing is
    /// left behind, or `details` says what is. There is one exception: when the cache has the
    /// attachment already and the first plugin refuses it, nothing is undone, because what is there
    /// belongs to the earlier ADD.
    pub fn add(&self, list: &NetworkList, container: &Container) -> Result<AddResult, Error> {
        validate(container)?;
        let _lock = self.lock_shared(&list.name)?;
        let programs =
            list.plugins.iter().map(|p| delegate::find(&p.plugin_type, &self.plugin_dirs));
        let programs: Vec<PathBuf> = programs.collect::<Result<_, _>>()?;
        let key = AttachmentKey::new(&list.name, container);
        let attached_before = self.is_kept(&key);
        let mut result: Option<AddResult> = None;
        for (done, (plugin, program)) in list.plugins.iter().zip(&programs).enumerate() {
            match self.add_one(list, plugin, program, result.as_ref(), container) {
                Ok(new) => result = Some(new),
                Err(error) if done == 0 && attached_before => return Err(error),
                Err(error) => {
                    let touched = list.plugins.iter().take(done + 1);
                    return Err(self.roll_back(list, touched, result.as_ref(), container, error));
                }
            }
        }
        let result = result.ok_or_else(|| Error::config("no plugins in list"))?;
        let kept = result.to_value(list.version);
        match kept.and_then(|value| self.keep(list, container, &value)) {
            Ok(()) => Ok(result),
            Err(error) => {
                Err(self.roll_back(list, list.plugins.iter(), Some(&result), container, error))
            }
        }
    }

    /// Detaches a container: DEL of every plugin in reverse order, given the kept result from
    /// 0.4.0 on. All are called even if one fails. CNI_ARGS and capability arguments that the
    /// caller does not give are those of the ADD.
    ///
    /// # Errors
    /// Everything that went wrong; the cache then keeps the attachment, for another DEL.
    pub fn del(&self, list: &NetworkList, container: &Container) -> Result<(), Error> {
        validate(container)?;
        let _lock = self.lock_shared(&list.name)?;
        self.del_unlocked(list, container)
    }

    /// Whether an attachment is as ADD made it. With `disableCheck` nothing is asked.
    ///
    /// # Errors
    /// The first plugin's error; code 1 before 0.4.0; code 3 when no ADD is known.
    pub fn check(&self, list: &NetworkList, container: &Container) -> Result<(), Error> {
        validate(container)?;
        if !list.version.has_check() {
            let version = list.version;
            let text = format!("configuration version {version} does not support CHECK");
            return Err(Error::new(Code::IncompatibleVersion, text));
        }
        if list.disable_check {
            return Ok(());
        }
        let _lock = self.lock_shared(&list.name)?;
        let key = AttachmentKey::new(&list.name, container);
        let result = self.cached_result(&key, list.version).ok_or_else(|| {
            let text = format!("no result of an ADD is kept for {}", key.file_name());
            Error::new(Code::UnknownContainer, text)
        })?;
        let container = self.with_kept_args(&key, container);
        for plugin in &list.plugins {
            let stdin = plugin.stdin(list, Some(result.to_value(list.version)?), Some(&container));
            self.call(plugin, Verb::Check, &stdin, Some(&container))?;
        }
        Ok(())
    }

    /// DEL by someone who holds the lock.
    pub(super) fn del_unlocked(
        &self,
        list: &NetworkList,
        container: &Container,
    ) -> Result<(), Error> {
        let key = AttachmentKey::new(&list.name, container);
        let container = self.with_kept_args(&key, container);
        let result = self.cached_result(&key, list.version);
        all_or_nothing(self.del_each(list, list.plugins.iter(), result.as_ref(), &container))?;
        self.forget(&key)
    }

    fn add_one(
        &self,
        list: &NetworkList,
        plugin: &PluginConf,
        program: &std::path::Path,
        before: Option<&AddResult>,
        container: &Container,
    ) -> Result<AddResult, Error> {
        let before = before.map(|result| result.to_value(list.version)).transpose()?;
        let stdin = plugin.stdin(list, before, Some(container));
        let env = self.env("ADD", Some(container));
        let named = |error: Error| failed(plugin, "add", error);
        let stdout = delegate::run(&Call { program, env: &env, stdin: &stdin }).map_err(named)?;
        let value = json::parse(&stdout).map_err(named)?;
        AddResult::decode(&value, list.version).map_err(named)
    }

    /// DEL of `plugins` in reverse; every error.
    fn del_each<'a>(
        &self,
        list: &NetworkList,
        plugins: impl DoubleEndedIterator<Item = &'a PluginConf>,
        result: Option<&AddResult>,
        container: &Container,
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        for plugin in plugins.rev() {
            let result = result.filter(|_| list.version.has_prev_result_on_del());
            let result: Option<Value> = result.and_then(|r| r.to_value(list.version).ok());
            let stdin = plugin.stdin(list, result, Some(container));
            errors.extend(self.call(plugin, Verb::Del, &stdin, Some(container)).err());
        }
        errors
    }

    fn roll_back<'a>(
        &self,
        list: &NetworkList,
        plugins: impl DoubleEndedIterator<Item = &'a PluginConf>,
        result: Option<&AddResult>,
        container: &Container,
        error: Error,
    ) -> Error {
        let left = all_or_nothing(self.del_each(list, plugins, result, container));
        let forgotten = self.forget(&AttachmentKey::new(&list.name, container));
        match left.and(forgotten) {
            Ok(()) => error,
            Err(left) => error.with_details(format!("undo: {left}")),
        }
    }

    /// Calls one plugin whose answer is only whether it worked.
    pub(super) fn call(
        &self,
        plugin: &PluginConf,
        verb: Verb,
        stdin: &[u8],
        container: Option<&Container>,
    ) -> Result<(), Error> {
        let program = delegate::find(&plugin.plugin_type, &self.plugin_dirs)?;
        let env = self.env(verb.as_str(), container);
        let called = delegate::run(&Call { program: &program, env: &env, stdin });
        let name = match verb {
            Verb::Add => "add",
            Verb::Del => "delete",
            Verb::Check => "check",
            Verb::Gc => "gc",
            Verb::Status => "status",
        };
        called.map(drop).map_err(|error| failed(plugin, name, error))
    }

    /// This process's environment with all of CNI's variables set, some to nothing.
    pub(super) fn env(&self, command: &str, container: Option<&Container>) -> Env {
        let none = Container::default();
        let container = container.unwrap_or(&none);
        let args: Vec<String> = container.args.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let dirs = self.plugin_dirs.iter().map(|dir| dir.as_os_str());
        let dirs: Vec<_> = dirs.collect();
        Env::of_process()
            .with("CNI_COMMAND", command)
            .with("CNI_CONTAINERID", container.id.as_str())
            .with("CNI_NETNS", container.netns.clone().map(OsString::from).unwrap_or_default())
            .with("CNI_IFNAME", container.ifname.as_str())
            .with("CNI_ARGS", args.join(";"))
            .with("CNI_PATH", dirs.join(std::ffi::OsStr::new(":")))
    }

    fn with_kept_args(&self, key: &AttachmentKey, container: &Container) -> Container {
        let mut container = container.clone();
        if let Some(kept) = self.attachment(key) {
            if container.args.is_empty() {
                container.args = kept.container.args;
            }
            if container.capability_args.is_empty() {
                container.capability_args = kept.container.capability_args;
            }
        }
        container
    }
}

fn validate(container: &Container) -> Result<(), Error> {
    validate_container_id(&container.id)?;
    validate_ifname(&container.ifname)
}

/// As libcni words it.
fn failed(plugin: &PluginConf, verb: &str, error: Error) -> Error {
    error.context(format_args!("plugin type={:?} failed ({verb})", plugin.plugin_type))
}
