//! A CNI client of its own: calls plugins and chains as the specification tells a runtime to.
//!
//! It is independent of the code under test on purpose, and decides nothing: what a plugin answers
//! is for the test to judge.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use crate::command::Output;
use crate::host::{Container, Host};
use crate::place::Place as _;
use crate::plugin_set::CNI_BIN;

/// An address of a result, by its place in the list.
///
/// # Errors
///
/// When there is none.
pub fn address(result: &Value, index: usize) -> Result<IpAddr> {
    let text = result.pointer(&format!("/ips/{index}/address")).and_then(Value::as_str);
    let text = text.with_context(|| format!("no address {index} in {result}"))?;
    Ok(text.split('/').next().unwrap_or_default().parse()?)
}

/// Calls plugins for one attachment: the parameters of CNI's environment.
#[derive(Debug, Clone)]
pub struct Cni {
    host: Host,
    /// `CNI_CONTAINERID`; the container's name at first.
    pub container_id: String,
    /// `CNI_NETNS`; the path of the container's namespace at first.
    pub netns: String,
    /// `CNI_IFNAME`; `eth0` at first.
    pub ifname: String,
    /// `CNI_ARGS`; not set when empty.
    pub args: String,
    /// `CNI_PATH`, where the plugins are; [`CNI_BIN`] at first.
    pub path: String,
    /// Other variables of the environment.
    pub environment: Vec<(String, String)>,
}

/// What a plugin answered.
#[derive(Debug, Clone)]
pub struct Reply(pub Output);

impl Reply {
    /// The result of a call that must have succeeded; `Null` for a call that prints none.
    ///
    /// # Errors
    ///
    /// When it failed; the error shows its output.
    pub fn result(&self) -> Result<Value> {
        let Output { code, stdout, stderr } = &self.0;
        if *code != 0 {
            bail!("the plugin failed, exit status {code}\nstdout: {stdout}\nstderr: {stderr}");
        }
        if stdout.trim().is_empty() { Ok(Value::Null) } else { self.0.json() }
    }

    /// The error code and text of a call that must have failed, as the specification demands it:
    /// exit status not 0, an error object on standard output.
    ///
    /// # Errors
    ///
    /// When it succeeded, or failed in another form.
    pub fn error(&self) -> Result<(u64, String)> {
        if self.0.code == 0 {
            bail!("the plugin succeeded: {:?}", self.0);
        }
        let error = self.0.json()?;
        let code = error.get("code").and_then(Value::as_u64);
        let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = code.with_context(|| format!("no code in {error}"))?;
        Ok((code, format!("{} {}", text("msg"), text("details")).trim_end().to_owned()))
    }
}

impl Cni {
    /// The parameters for interface `eth0` of `container`.
    #[must_use]
    pub fn new(container: &Container) -> Self {
        Self {
            host: container.host().clone(),
            container_id: container.id().to_owned(),
            netns: container.netns(),
            ifname: "eth0".to_owned(),
            args: String::new(),
            path: CNI_BIN.to_owned(),
            environment: Vec::new(),
        }
    }

    /// The same, for another interface.
    #[must_use]
    pub fn ifname(mut self, name: &str) -> Self {
        name.clone_into(&mut self.ifname);
        self
    }

    /// The same, with these `CNI_ARGS`.
    #[must_use]
    pub fn args(mut self, args: &str) -> Self {
        args.clone_into(&mut self.args);
        self
    }

    /// The same, with one more variable in the environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Calls `plugin` with `verb` (`CNI_COMMAND`) and this configuration on standard input.
    ///
    /// # Errors
    ///
    /// When it cannot be run or hangs; a plugin that fails is a [`Reply`].
    pub fn call(&self, verb: &str, plugin: &str, conf: &Value) -> Result<Reply> {
        self.call_bytes(verb, plugin, conf.to_string().into_bytes())
    }

    /// As [`Self::call`], with any bytes on standard input.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub fn call_bytes(&self, verb: &str, plugin: &str, stdin: Vec<u8>) -> Result<Reply> {
        let mut command = self
            .host
            .command(&[&format!("{}/{plugin}", self.path)])
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", &self.container_id)
            .env("CNI_NETNS", &self.netns)
            .env("CNI_IFNAME", &self.ifname)
            .env("CNI_PATH", &self.path)
            .stdin(stdin);
        for (key, value) in &self.environment {
            command = command.env(key, value);
        }
        if !self.args.is_empty() {
            command = command.env("CNI_ARGS", &self.args);
        }
        command.output().map(Reply)
    }
}

/// A network configuration list, and what the last ADD of it gave.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The list.
    pub conflist: Value,
    /// Capability arguments: by capability, such as `{"portMappings": [...]}`.
    pub capability_args: Value,
    /// The result of the last ADD, for CHECK and DEL; `Null` before.
    pub prev_result: Value,
}

impl Chain {
    /// A list without capability arguments, not added yet.
    #[must_use]
    pub fn new(conflist: Value) -> Self {
        Self { conflist, capability_args: json!({}), prev_result: Value::Null }
    }

    /// The same list with these capability arguments.
    #[must_use]
    pub fn with_args(mut self, capability_args: Value) -> Self {
        self.capability_args = capability_args;
        self
    }

    /// ADD through the list, keeps the result and returns it.
    ///
    /// # Errors
    ///
    /// When a plugin fails; those before it are not undone, as the specification leaves it to DEL.
    pub fn add(&mut self, cni: &Cni) -> Result<Value> {
        let mut prev = Value::Null;
        for plugin in self.plugins()? {
            prev = self.step("ADD", cni, &plugin, &prev)?;
        }
        self.prev_result = prev.clone();
        Ok(prev)
    }

    /// CHECK through the list, with the result of the last ADD.
    ///
    /// # Errors
    ///
    /// When a plugin fails.
    pub fn check(&self, cni: &Cni) -> Result<()> {
        for plugin in self.plugins()? {
            self.step("CHECK", cni, &plugin, &self.prev_result)?;
        }
        Ok(())
    }

    /// DEL through the list in reverse, with the result of the last ADD.
    ///
    /// # Errors
    ///
    /// When a plugin fails; those before it in the list are not called then.
    pub fn del(&self, cni: &Cni) -> Result<()> {
        for plugin in self.plugins()?.iter().rev() {
            self.step("DEL", cni, plugin, &self.prev_result)?;
        }
        Ok(())
    }

    /// The configurations a runtime derives for the list's plugins, without `prevResult`.
    ///
    /// # Errors
    ///
    /// When the list is none.
    pub fn plugins(&self) -> Result<Vec<Map<String, Value>>> {
        let plugins = self.conflist.get("plugins").and_then(Value::as_array);
        plugins.context("no list of plugins")?.iter().map(|plugin| self.derive(plugin)).collect()
    }

    fn derive(&self, plugin: &Value) -> Result<Map<String, Value>> {
        let mut conf = plugin.as_object().context("a plugin that is no object")?.clone();
        for key in ["cniVersion", "name"] {
            let value = self.conflist.get(key).with_context(|| format!("no {key} in the list"))?;
            conf.insert(key.to_owned(), value.clone());
        }
        let declared = conf.remove("capabilities").unwrap_or_default();
        let mut runtime = self.capability_args.as_object().cloned().unwrap_or_default();
        runtime.retain(|name, _| declared.get(name) == Some(&Value::Bool(true)));
        if !runtime.is_empty() {
            conf.insert("runtimeConfig".to_owned(), Value::Object(runtime));
        }
        Ok(conf)
    }

    fn step(
        &self,
        verb: &str,
        cni: &Cni,
        conf: &Map<String, Value>,
        prev: &Value,
    ) -> Result<Value> {
        let kind = conf.get("type").and_then(Value::as_str).context("a plugin without type")?;
        let mut conf = conf.clone();
        if !prev.is_null() {
            conf.insert("prevResult".to_owned(), prev.clone());
        }
        let reply = cni.call(verb, kind, &Value::Object(conf))?;
        reply.result().with_context(|| format!("{verb} by {kind} for {}", cni.container_id))
    }
}
