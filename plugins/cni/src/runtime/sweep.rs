//! GC, STATUS and VERSION: calls about a network, not an attachment.

use super::{Container, NetworkList, Runtime, all_or_nothing};
use crate::conf::Attachment;
use crate::delegate::{self, Call};
use crate::error::Error;
use crate::json::{self, Object, Value};
use crate::skel::Verb;
use crate::version::Version;
use std::collections::{BTreeMap, BTreeSet};

/// The plugin of networks that netd keeps.
const KEEPS_WHAT_LIVES: &str = "netd";

/// `NSFS_MAGIC` of linux/magic.h: the file system of namespaces.
const NSFS: rustix::fs::FsWord = 0x6e73_6673;

impl Runtime {
    /// Removes every attachment to the network that is not in `valid`: DEL of those in the cache,
    /// with the configuration of their ADD, then from 1.1.0 on GC of every plugin for those nobody
    /// knows of. With `disableGC` nothing is done.
    ///
    /// Containers on networks of netd's that run are not taken off them: its plugin judges each by its
    /// namespace, and names on stderr those that stay.
    ///
    /// A namespace below `/proc` is not passed on: process ids are reused.
    ///
    /// # Errors
    /// Everything that went wrong, after everything was tried; code 11 when others were at work on
    /// the network for too long.
    pub fn gc(&self, list: &NetworkList, valid: &[Attachment]) -> Result<(), Error> {
        if list.disable_gc {
            return Ok(());
        }
        let _lock = self.lock_exclusive(&list.name)?;
        self.remove_parts(&list.name);
        let mut errors = self.del_invalid(list, valid);
        if list.version.has_gc_and_status() {
            let valid = Value::Array(valid.iter().map(attachment).collect());
            for plugin in &list.plugins {
                let stdin = plugin.stdin_of_gc(list, &valid);
                errors.extend(self.call(plugin, Verb::Gc, &stdin, None).err());
            }
        }
        all_or_nothing(errors)
    }

    /// Whether the network could serve an ADD. Before 1.1.0 nobody can tell: it is said to.
    ///
    /// # Errors
    /// The first plugin's error.
    pub fn status(&self, list: &NetworkList) -> Result<(), Error> {
        if !list.version.has_gc_and_status() {
            return Ok(());
        }
        for plugin in &list.plugins {
            self.call(plugin, Verb::Status, &plugin.stdin(list, None, None), None)?;
        }
        Ok(())
    }

    /// The versions each of the network's plugins speaks, as it says, by type.
    ///
    /// # Errors
    /// The first plugin's error; code 6 when its answer cannot be read.
    pub fn version(&self, list: &NetworkList) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let stdin = format!("{{\"cniVersion\":\"{}\"}}", Version::NEWEST);
        let env = self.env("VERSION", None);
        let mut all = BTreeMap::new();
        for plugin in &list.plugins {
            let plugin_type = &plugin.plugin_type;
            let named = |error: Error| error.context(format_args!("VERSION of {plugin_type:?}"));
            let program = delegate::find(plugin_type, &self.plugin_dirs)?;
            let call = Call { program: &program, env: &env, stdin: stdin.as_bytes() };
            let answer = delegate::run(&call).and_then(|stdout| json::parse(&stdout));
            let answer = answer.map_err(named)?;
            let versions = json::decode_field("", &answer, "supportedVersions").map_err(named)?;
            all.insert(plugin_type.clone(), versions.unwrap_or_default());
        }
        Ok(all)
    }

    /// DEL of the network's attachments that are in the cache but not in `valid`; every error.
    fn del_invalid(&self, list: &NetworkList, valid: &[Attachment]) -> Vec<Error> {
        let valid: BTreeSet<&Attachment> = valid.iter().collect();
        let attachments = match self.attachments() {
            Ok(attachments) => attachments,
            Err(error) => return vec![error],
        };
        let mut errors = Vec::new();
        for cached in attachments {
            let Container { id, ifname, .. } = cached.container.clone();
            let attachment = Attachment { container_id: id, ifname };
            if cached.network != list.name || valid.contains(&attachment) {
                continue;
            }
            let then = NetworkList::parse(cached.config).ok();
            let then = then.filter(|then| then.name == list.name && !then.plugins.is_empty());
            if is_judged_by_plugin(then.as_ref().unwrap_or(list)) && lives(&cached.container) {
                continue;
            }
            let mut container = cached.container;
            container.netns = container.netns.filter(|netns| !netns.starts_with("/proc"));
            let deleted = self.del_unlocked(then.as_ref().unwrap_or(list), &container);
            errors.extend(deleted.err().map(|error| {
                let Attachment { container_id, ifname } = attachment;
                error.context(format_args!("delete stale attachment {container_id} {ifname}"))
            }));
        }
        errors
    }
}

/// Whether the network is netd's, whose plugin keeps at GC what lives.
fn is_judged_by_plugin(list: &NetworkList) -> bool {
    list.version.has_gc_and_status()
        && list.plugins.iter().all(|plugin| plugin.plugin_type == KEEPS_WHAT_LIVES)
}

/// Whether a network namespace is where the container's was.
fn lives(container: &Container) -> bool {
    let Some(path) = &container.netns else { return false };
    // What is left of a namespace that is gone is an empty file of another file system.
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == NSFS)
}

fn attachment(attachment: &Attachment) -> Value {
    let mut object = Object::new();
    object.set("containerID", attachment.container_id.as_str());
    object.set("ifname", attachment.ifname.as_str());
    Value::Object(object)
}
