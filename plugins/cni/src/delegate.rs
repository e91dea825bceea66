//! Calling another plugin: to find its program, to execute it, to read what it says.
//!
//! The delegate gets this call's environment with another CNI_COMMAND and the very bytes that were
//! read from stdin. Its error keeps its code, message and details. Whether a plugin of this
//! program could do the work without a process is the caller's to decide, before it comes here.
//!
//! Source: CNI specification 1.1.0 section 4, and the reference's invoke package.

mod exec;
mod find;

pub use find::find;

pub(crate) use exec::{Call, run};

use crate::error::Error;
use crate::json;
use crate::result::AddResult;
use crate::skel::{Request, Verb};
use std::ffi::OsString;

/// Has `plugin_type` serve an ADD with this request's configuration.
///
/// # Errors
/// The delegate's own error; code 6 when its result cannot be read, 999 when it is not found or
/// died without a word. After an error the caller asks it for a DEL: it may have done half.
pub fn add(request: &Request, plugin_type: &str) -> Result<AddResult, Error> {
    let stdout = delegate(request, plugin_type, Verb::Add)?;
    let unreadable = |error: Error| error.context(format!("result of plugin {plugin_type:?}"));
    let value = json::parse(&stdout).map_err(unreadable)?;
    AddResult::decode(&value, request.version).map_err(unreadable)
}

/// Has `plugin_type` serve a DEL.
///
/// # Errors
/// As [`add`].
pub fn del(request: &Request, plugin_type: &str) -> Result<(), Error> {
    delegate(request, plugin_type, Verb::Del).map(drop)
}

/// Has `plugin_type` serve a CHECK.
///
/// # Errors
/// As [`add`].
pub fn check(request: &Request, plugin_type: &str) -> Result<(), Error> {
    delegate(request, plugin_type, Verb::Check).map(drop)
}

/// Has `plugin_type` serve a STATUS.
///
/// # Errors
/// As [`add`].
pub fn status(request: &Request, plugin_type: &str) -> Result<(), Error> {
    delegate(request, plugin_type, Verb::Status).map(drop)
}

/// Has `plugin_type` serve a GC.
///
/// # Errors
/// As [`add`].
pub fn gc(request: &Request, plugin_type: &str) -> Result<(), Error> {
    delegate(request, plugin_type, Verb::Gc).map(drop)
}

fn delegate(request: &Request, plugin_type: &str, verb: Verb) -> Result<Vec<u8>, Error> {
    let program = find(plugin_type, &request.path)?;
    // DEL may have dropped the namespace that the environment still names.
    let netns = request.netns.clone().map(OsString::from).unwrap_or_default();
    let env = request.env.clone().with("CNI_COMMAND", verb.as_str()).with("CNI_NETNS", netns);
    run(&Call { program: &program, env: &env, stdin: &request.conf.bytes })
}

#[cfg(test)]
mod tests;
