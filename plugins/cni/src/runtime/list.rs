//! A network: its plugins in order, and how to call them.

use super::Container;
use crate::error::{Code, Error};
use crate::json::{self, Object, Value};
use crate::skel::validate_network_name;
use crate::version::Version;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// A network list (`.conflist`).
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkList {
    /// The network's name.
    pub name: String,
    /// The version its plugins are called in: the newest known one of `cniVersion` and
    /// `cniVersions`.
    pub version: Version,
    /// CHECK does nothing.
    pub disable_check: bool,
    /// GC does nothing.
    pub disable_gc: bool,
    /// Plugins in a directory of the network's name are not added.
    pub load_only_inlined_plugins: bool,
    /// The plugins, in the order of ADD.
    pub plugins: Vec<PluginConf>,
    /// The list as it was read.
    pub bytes: Vec<u8>,
}

/// One plugin of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConf {
    /// Its type: the name of its program.
    pub plugin_type: String,
    /// What it understands in `runtimeConfig`.
    pub capabilities: BTreeMap<String, bool>,
    /// Its configuration.
    pub object: Object,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListWire {
    name: Option<String>,
    cni_version: Option<String>,
    cni_versions: Option<Vec<String>>,
    #[serde(default)]
    disable_check: Flag,
    #[serde(default, rename = "disableGC")]
    disable_gc: Flag,
    #[serde(default)]
    load_only_inlined_plugins: Flag,
    plugins: Option<Vec<Value>>,
}

#[derive(serde::Deserialize)]
struct PluginWire {
    #[serde(default, rename = "type")]
    plugin_type: String,
    #[serde(default)]
    capabilities: BTreeMap<String, bool>,
}

impl NetworkList {
    /// Reads a list. One without plugins is an error unless more may be loaded from a directory.
    ///
    /// # Errors
    /// Code 6 for JSON that is broken or of the wrong type, 7 for a missing name or type or plugins,
    /// 1 for versions none of which is known.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        let wire: ListWire = json::decode(&json::parse(&bytes)?)?;
        let name = wire.name.unwrap_or_default();
        validate_network_name(&name)?;
        let inlined = wire.load_only_inlined_plugins.0;
        if inlined && wire.plugins.is_none() {
            return Err(Error::config("loadOnlyInlinedPlugins is true, and no plugins key"));
        }
        if wire.plugins.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::config("no plugins in list"));
        }
        let plugins = wire.plugins.unwrap_or_default();
        let plugins = plugins.into_iter().enumerate();
        let plugins = plugins.map(|(n, plugin)| PluginConf::read(&format!("plugins[{n}]"), plugin));
        Ok(Self {
            name,
            version: newest(wire.cni_version, wire.cni_versions)?,
            disable_check: wire.disable_check.0,
            disable_gc: wire.disable_gc.0,
            load_only_inlined_plugins: inlined,
            plugins: plugins.collect::<Result<_, _>>()?,
            bytes,
        })
    }

    /// Makes a list of a single plugin's configuration (`.conf`, `.json`).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_single(bytes: &[u8]) -> Result<Self, Error> {
        let single = json::parse(bytes)?;
        let member = |key| json::decode_field::<String>("", &single, key);
        let (name, version) = (member("name")?, member("cniVersion")?);
        let mut list = Object::new();
        list.set("cniVersion", version.unwrap_or_default());
        list.set("name", name.unwrap_or_default());
        list.set("plugins", vec![single]);
        Self::parse(Value::Object(list).to_string().into_bytes())
    }

    /// Adds a plugin at the end, to `bytes` too: what is kept for a later DEL names every plugin.
    pub(super) fn append(&mut self, plugin: PluginConf) -> Result<(), Error> {
        let value = json::parse(&self.bytes)?;
        let mut plugins = value.field("plugins").and_then(Value::as_array).unwrap_or(&[]).to_vec();
        plugins.push(Value::Object(plugin.object.clone()));
        let mut list = value.as_object().cloned().unwrap_or_default();
        list.set("plugins", plugins);
        self.bytes = Value::Object(list).to_string().into_bytes();
        self.plugins.push(plugin);
        Ok(())
    }
}

impl PluginConf {
    /// Reads one plugin's configuration.
    ///
    /// # Errors
    /// Code 6 when it is no object or a value has the wrong type, 7 without `type`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::read("", json::parse(bytes)?)
    }

    fn read(path: &str, value: Value) -> Result<Self, Error> {
        let wire: PluginWire = json::decode_at(path, &value)?;
        if wire.plugin_type.is_empty() {
            return Err(Error::config(format!(
                "{}: missing plugin type",
                json::join(path, "type")
            )));
        }
        let Value::Object(object) = value else {
            return Err(Error::decoding(format!("{path}: expected an object")));
        };
        Ok(Self { plugin_type: wire.plugin_type, capabilities: wire.capabilities, object })
    }

    /// What the plugin is given on stdin for a container.
    pub(super) fn stdin(
        &self,
        list: &NetworkList,
        prev_result: Option<Value>,
        container: Option<&Container>,
    ) -> Vec<u8> {
        let mut object = self.of_list(list);
        if let Some(result) = prev_result {
            object.set("prevResult", result);
        }
        let offered = container.map(|container| &container.capability_args);
        let declared = |key: &str| self.capabilities.get(key) == Some(&true);
        let told = offered.into_iter().flat_map(Object::iter).filter(|(key, _)| declared(key));
        let told: Object = told.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        if !told.is_empty() {
            object.set("runtimeConfig", told);
        }
        Value::Object(object).to_string().into_bytes()
    }

    /// What the plugin is given on stdin for a GC.
    pub(super) fn stdin_of_gc(&self, list: &NetworkList, valid: &Value) -> Vec<u8> {
        let mut object = self.of_list(list);
        object.set("cni.dev/valid-attachments", valid.clone());
        // The name of the first draft of the specification, which libcni writes too.
        object.set("cni.dev/attachments", valid.clone());
        Value::Object(object).to_string().into_bytes()
    }

    fn of_list(&self, list: &NetworkList) -> Object {
        let mut object = self.object.clone();
        object.set("name", list.name.as_str());
        object.set("cniVersion", list.version.as_str());
        object
    }
}

/// The newest known version. Newer ones than this crate's are passed over, as libcni does.
fn newest(single: Option<String>, several: Option<Vec<String>>) -> Result<Version, Error> {
    let Some(mut versions) = several else {
        let single = single.unwrap_or_default();
        return single.parse().map_err(|_| unknown(&[single]));
    };
    versions.extend(single.filter(|version| !version.is_empty()));
    let known = versions.iter().filter(|version| !version.is_empty());
    known.filter_map(|version| version.parse().ok()).max().ok_or_else(|| unknown(&versions))
}

fn unknown(versions: &[String]) -> Error {
    let text = format!("incompatible CNI versions: {versions:?} has no known version");
    Error::new(Code::IncompatibleVersion, text)
}

/// A boolean that may be written as a string.
#[derive(Clone, Copy, Default)]
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlagText)
    }
}

struct FlagText;

impl Visitor<'_> for FlagText {
    type Value = Flag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
        Ok(Flag(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Flag, E> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Flag(true)),
            "false" => Ok(Flag(false)),
            _ => Err(E::custom("expected true or false")),
        }
    }
}
