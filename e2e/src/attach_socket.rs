//! A client of netd's `attach.sock`, written by its documentation and independent of the code under
//! test.

use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, bail};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

use crate::host::{Container, Host};
use crate::place::Place as _;
use crate::wait::PATIENCE;

/// Where netd listens on a host.
const SOCKET: &str = "/run/netd/attach.sock";

/// Sends a request, to which `version` is added, with a container's namespace if one is given; gives
/// the answer without its version.
///
/// # Errors
///
/// When there is no answer, or the answer is an error: its text.
pub fn ask(host: &Host, request: &Value, container: Option<&Container>) -> Result<Value> {
    let mut request = request.as_object().cloned().context("an object")?;
    request.insert("version".to_owned(), json!(1));
    let text = Value::from(request).to_string();
    let frame = [&u32::try_from(text.len())?.to_be_bytes(), text.as_bytes()].concat();
    let mut stream = UnixStream::connect(host.path(SOCKET)).context("connect to attach.sock")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut sent = 0;
    if let Some(container) = container {
        let netns = std::fs::File::open(host.path(&container.netns())).context("a namespace")?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let fds = [netns.as_fd()];
        beside.push(SendAncillaryMessage::ScmRights(&fds));
        sent = sendmsg(&stream, &[IoSlice::new(&frame)], &mut beside, SendFlags::NOSIGNAL)?;
    }
    stream.write_all(frame.get(sent..).unwrap_or_default())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("read the answer")?;
    let body = answer.get(4..).filter(|body| !body.is_empty()).context("an answer")?;
    let mut answer: Value = serde_json::from_slice(body)?;
    if let Some(error) = answer.get("error") {
        let code = answer.get("code").and_then(Value::as_u64).unwrap_or(11);
        bail!("{} (code {code})", error.as_str().unwrap_or_default());
    }
    answer.as_object_mut().and_then(|answer| answer.remove("version")).context("a version")?;
    Ok(answer)
}

/// Attaches a container, with more keys of the request in `more`; gives the CNI result.
///
/// # Errors
///
/// As [`ask`].
pub fn attach(container: &Container, network: &str, more: &Value) -> Result<Value> {
    let mut request = json!({
        "request": "attach",
        "network": network,
        "container": container.id(),
        "netns": container.netns(),
        "ifname": "eth0",
    });
    if let (Some(request), Some(more)) = (request.as_object_mut(), more.as_object()) {
        request.extend(more.clone());
    }
    let answer = ask(container.host(), &request, Some(container))?;
    answer.get("attached").cloned().with_context(|| format!("a result in {answer}"))
}

/// Takes a container off a network.
///
/// # Errors
///
/// As [`ask`].
pub fn detach(container: &Container, network: &str) -> Result<()> {
    let request = json!({ "request": "detach", "network": network, "container": container.id() });
    ask(container.host(), &request, None).map(drop)
}

/// The commands that would repair a container's interface.
///
/// # Errors
///
/// As [`ask`].
pub fn missing(container: &Container, network: &str, ifname: &str) -> Result<Vec<String>> {
    let request = json!({
        "request": "check",
        "network": network,
        "container": container.id(),
        "ifname": ifname,
    });
    let answer = ask(container.host(), &request, Some(container))?;
    Ok(serde_json::from_value(answer.get("missing").cloned().context("commands")?)?)
}
