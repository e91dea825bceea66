//! Namespaces named by a process: `/proc/PID/ns/net`, as `ctr run` does.
//!
//! Process ids are used again, soon after a reboot. Without a record, which knows the namespace
//! itself, two things together tell that another process has the number: it was started after the
//! ADD, and its namespace has no interface of the attachment's name and address. Either alone may
//! be wrong: the clock may have been set since, and a container may rename its interface.

use std::path::{Component, Path};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cni::json;
use cni::result::Interface;
use cni::runtime::{AttachmentKey, CachedAttachment, Runtime};
use cni::{AddResult, Error, ErrorChain, Version};
use kernel::{Kernel, Netns};
use netstate::{LinkName, Ns};

use crate::container::process::stat;

/// `USER_HZ` (`include/asm-generic/param.h`): the unit of start times, the same on every
/// architecture this is built for.
const TICKS_PER_SECOND: u64 = 100;

/// Start times and boot time are rounded.
const SLACK: Duration = Duration::from_secs(2);

/// Whether a cached attachment's path names another process than at ADD.
pub(super) fn is_another(
    cached: &CachedAttachment,
    path: &Path,
    netns: &Netns,
    runtime: &Runtime,
) -> Result<bool, Error> {
    let Some(started) = pid(path).and_then(started) else { return Ok(false) };
    let younger = attached(&cached.key(), runtime).is_some_and(|at| started > at + SLACK);
    Ok(younger && !has_interface(cached, netns)?)
}

/// PID of `/proc/PID/...`.
fn pid(path: &Path) -> Option<u32> {
    let mut parts = path.components();
    let proc = parts.next() == Some(Component::RootDir)
        && parts.next() == Some(Component::Normal("proc".as_ref()));
    let Some(Component::Normal(pid)) = parts.next().filter(|_| proc) else { return None };
    pid.to_str()?.parse().ok()
}

/// When a process was started: its ticks on top of `btime` of `/proc/stat` (proc(5)).
fn started(pid: u32) -> Option<SystemTime> {
    let ticks = stat(Path::new("/"), pid)?.1?;
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    let booted = Duration::from_secs(booted.trim().parse().ok()?);
    Some(UNIX_EPOCH + booted + Duration::from_secs(ticks / TICKS_PER_SECOND))
}

/// When the ADD ended: its result was written then.
fn attached(key: &AttachmentKey, runtime: &Runtime) -> Option<SystemTime> {
    let AttachmentKey { network, container_id, ifname } = key;
    let file = runtime.cache_dir.join(format!("results/{network}-{container_id}-{ifname}"));
    std::fs::metadata(file).ok()?.modified().ok()
}

/// Whether a namespace has the attachment's interface, with the link-layer address of its result
/// where that has one.
fn has_interface(cached: &CachedAttachment, netns: &Netns) -> Result<bool, Error> {
    let ifname = cached.container.ifname.as_str();
    let Ok(name) = LinkName::new(ifname) else { return Ok(false) };
    let asked = Kernel::open(Some(netns)).link_by_name(&Ns::Container, &name);
    let found = asked.map_err(|e| Error::netns(ErrorChain(&e).to_string()))?;
    let Some(found) = found else { return Ok(false) };
    let mac = mac_of_result(cached, ifname).zip(found.link.mac);
    Ok(mac.is_none_or(|(then, now)| then.eq_ignore_ascii_case(&now.to_string())))
}

fn mac_of_result(cached: &CachedAttachment, ifname: &str) -> Option<String> {
    let result = cached.result.as_ref()?;
    let version: Option<String> = json::decode_field("", result, "cniVersion").ok()?;
    let version = version.and_then(|v| v.parse().ok()).unwrap_or(Version::NEWEST);
    let result = AddResult::decode(result, version).ok()?;
    let inside = |i: &Interface| i.name == ifname && !i.sandbox.is_empty() && !i.mac.is_empty();
    result.interfaces.into_iter().find(inside).map(|interface| interface.mac)
}
