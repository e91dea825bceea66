//! The order of things in one call.

use super::env::Env;
use super::request::{Request, Verb, check_env, validate_network_name};
use super::{Info, NetnsRule, Plugin, netns};
use crate::conf::NetConf;
use crate::error::{Code, Error};
use crate::result::{self, AddResult};
use crate::version::{self, Version};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// The most that is read from stdin, in bytes. A GC that lists 10,000 attachments has about 2 MB.
pub const STDIN_LIMIT: u64 = 16 << 20;

/// Serves one call and returns the exit status: 0, or 1 with an error on stdout.
///
/// What cannot be said on stdout any more (nobody reads it) is said on stderr.
pub fn dispatch(
    plugin: &dyn Plugin,
    env: &Env,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let info = plugin.info();
    let command = env.text("CNI_COMMAND");
    if command.is_empty() {
        return print(&banner(&info), 0, stderr, &mut io::sink());
    }
    if command == "VERSION" {
        return print(&supported_versions(&info), 0, stdout, stderr);
    }
    let mut version = Version::NEWEST;
    match serve(plugin, &info, env, stdin, stderr, &mut version) {
        Ok(None) => 0,
        Ok(Some((text, request))) => match print(&text, 0, stdout, stderr) {
            0 => 0,
            code => take_back(plugin, request, code, stderr),
        },
        Err(error) => print(&error.to_json(version), 1, stdout, stderr),
    }
}

/// Serves every verb but VERSION. `version` becomes the configuration's as soon as it is known.
fn serve(
    plugin: &dyn Plugin,
    info: &Info,
    env: &Env,
    stdin: &mut dyn Read,
    stderr: &mut dyn Write,
    version: &mut Version,
) -> Result<Option<(String, Request)>, Error> {
    let command = env.text("CNI_COMMAND");
    let verb = Verb::parse(&command);
    check_env(verb, env, info)?;
    let conf = read_conf(stdin)?;
    *version = conf.cni_version.parse().unwrap_or(*version);
    validate_network_name(&conf.name)?;
    let unknown = || Error::environment(format!("unknown CNI_COMMAND: {command}"));
    let verb = verb.ok_or_else(unknown)?;
    check_verb(verb, &conf.cni_version, info)?;
    let spoken = check_version(&conf.cni_version, info)?;
    let prev_result = prev_result(verb, &conf, spoken, stderr)?;
    let dirs = env.get("CNI_PATH");
    let path = dirs.iter().flat_map(|dirs| std::env::split_paths(dirs)).collect();
    let request = Request {
        verb,
        container_id: env.text("CNI_CONTAINERID"),
        netns: env.get("CNI_NETNS").map(PathBuf::from),
        ifname: env.text("CNI_IFNAME"),
        args: env.text("CNI_ARGS"),
        path,
        conf,
        version: spoken,
        prev_result,
        env: env.clone(),
    };
    match verb {
        Verb::Add => add(plugin, info, &request).map(|text| Some((text, request))),
        Verb::Del => del(plugin, info, request).map(|()| None),
        Verb::Check => plugin.check(&request).map(|()| None),
        Verb::Gc => plugin.gc(&request).map(|()| None),
        Verb::Status => plugin.status(&request).map(|()| None),
    }
}

fn read_conf(stdin: &mut dyn Read) -> Result<NetConf, Error> {
    let mut bytes = Vec::new();
    let failed = |error: &io::Error| Error::io(format!("error reading from stdin: {error}"));
    stdin.take(STDIN_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > STDIN_LIMIT {
        return Err(Error::decoding(format!(
            "error unmarshall network config: more than {STDIN_LIMIT} bytes on stdin"
        )));
    }
    NetConf::parse(bytes).map_err(|error| error.context("error unmarshall network config"))
}

/// Whether the configuration's version has the verb, and the plugin any version that could.
fn check_verb(verb: Verb, configured: &str, info: &Info) -> Result<(), Error> {
    let since = match verb {
        Verb::Add | Verb::Del => return Ok(()),
        Verb::Check => [0, 4, 0],
        Verb::Gc | Verb::Status => [1, 1, 0],
    };
    let numbers = version::numbers(configured)
        .map_err(|error| Error::decoding(format!("cniVersion: {error}")))?;
    let refuse = |whose: &str| {
        let text = format!("{whose} version does not allow {}", verb.as_str());
        Err(Error::new(Code::IncompatibleVersion, text))
    };
    if numbers < since {
        return refuse("config");
    }
    let newest = info.versions.iter().filter_map(|v| version::numbers(v.as_str()).ok()).max();
    if newest.is_none_or(|newest| newest < numbers) {
        return refuse("plugin");
    }
    Ok(())
}

fn check_version(configured: &str, info: &Info) -> Result<Version, Error> {
    let parsed = configured.parse().ok().filter(|version| info.versions.contains(version));
    parsed.ok_or_else(|| {
        let configured = if configured.is_empty() { "0.1.0" } else { configured };
        let spoken = version::quoted_list(info.versions);
        Error::new(Code::IncompatibleVersion, "incompatible CNI versions")
            .with_details(format!("config is {configured:?}, plugin supports {spoken}"))
    })
}

/// Reads `prevResult` for the verbs that have one. For DEL a broken one is as good as none.
fn prev_result(
    verb: Verb,
    conf: &NetConf,
    version: Version,
    stderr: &mut dyn Write,
) -> Result<Option<AddResult>, Error> {
    let decoded = conf.prev_result.as_ref().map(|value| result::prev_result(value, version));
    match (verb, decoded.transpose()) {
        (Verb::Add, decoded) => decoded,
        (Verb::Check, Ok(None)) => Err(Error::config("missing prevResult: CHECK needs it")),
        (Verb::Check, decoded) => decoded,
        (Verb::Del, Ok(decoded)) => Ok(decoded),
        (Verb::Del, Err(error)) => {
            print(
                &format!("DEL goes on without prevResult: {error}\n"),
                0,
                stderr,
                &mut io::sink(),
            );
            Ok(None)
        }
        (Verb::Gc | Verb::Status, _) => Ok(None),
    }
}

fn add(plugin: &dyn Plugin, info: &Info, request: &Request) -> Result<String, Error> {
    if is_own_netns(info, request) {
        return Err(same_netns());
    }
    let text = plugin.add(request)?.to_json(request.version);
    text.map_err(|error| match undo(plugin, request.clone()) {
        Ok(()) => error,
        Err(undo) => error.with_details(format!("undo: {undo}")),
    })
}

/// An ADD whose result nobody gets has failed, and leaves nothing behind.
fn take_back(plugin: &dyn Plugin, request: Request, code: u8, stderr: &mut dyn Write) -> u8 {
    match undo(plugin, request) {
        Ok(()) => code,
        Err(error) => print(&format!("undo: {error}\n"), code, stderr, &mut io::sink()),
    }
}

fn undo(plugin: &dyn Plugin, mut request: Request) -> Result<(), Error> {
    request.verb = Verb::Del;
    plugin.del(&request)
}

/// A DEL in our own namespace means that the container's is gone and its process id reused. The
/// reference would delete the host's interface and then complain; here the attachment's
/// resources are freed without touching the namespace, and the complaint is the same.
fn del(plugin: &dyn Plugin, info: &Info, mut request: Request) -> Result<(), Error> {
    if !is_own_netns(info, &request) {
        return plugin.del(&request);
    }
    request.netns = None;
    plugin.del(&request)?;
    Err(same_netns())
}

fn is_own_netns(info: &Info, request: &Request) -> bool {
    matches!(info.netns, NetnsRule::Container)
        && !netns::is_overridden(&request.env)
        && request.netns.as_deref().is_some_and(netns::is_own)
}

fn same_netns() -> Error {
    Error::netns("plugin's netns and netns from CNI_NETNS should not be the same")
}

fn banner(info: &Info) -> String {
    let versions: Vec<&str> = info.versions.iter().map(|version| version.as_str()).collect();
    format!(
        "CNI {} plugin {}\nCNI protocol versions supported: {}\n",
        info.name,
        info.build,
        versions.join(", ")
    )
}

fn supported_versions(info: &Info) -> String {
    let versions: Vec<String> =
        info.versions.iter().map(|version| format!("\"{version}\"")).collect();
    format!(
        "{{\"cniVersion\":\"{}\",\"supportedVersions\":[{}]}}\n",
        Version::NEWEST,
        versions.join(",")
    )
}

/// Writes `text` and returns `code`, or 1 if nobody takes it (std ignores SIGPIPE).
fn print(text: &str, code: u8, out: &mut dyn Write, complaints: &mut dyn Write) -> u8 {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) => {
            // Nothing is left to tell it to when stderr is closed too.
            let _ = writeln!(complaints, "cannot print the answer: {error}\n{text}");
            1
        }
    }
}
