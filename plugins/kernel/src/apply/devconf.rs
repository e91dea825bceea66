//! Sysctls of a link that was just born, as messages: with the other messages about the link they
//! cost one system call, where a file of `/proc/sys` has to be looked for in a namespace that the
//! thread enters for it. What they were before is of no interest, as the link goes with the plan.

use netlink_packet_route::link::InetDevConf;
use netstate::{LinkName, LinkRef, Mode, Op, Step};

use super::Work;

/// The link and its IPv4 settings (`inet_set_link_af()`, `net/ipv4/devinet.c`), where a step is
/// about one that the plan has made.
pub(super) fn of_newborn(work: &Work<'_>, step: &Step) -> Option<(LinkName, InetDevConf)> {
    let Op::SetSysctl { key, value, .. } = &step.op else { return None };
    let (link, setting) = key.as_str().strip_prefix("net/ipv4/conf/")?.rsplit_once('/')?;
    // The message has no word for "off", which is the kernel's default.
    let on = (value == "1").then_some(1)?;
    let mut conf = InetDevConf::default();
    match setting {
        "arp_notify" => conf.arp_notify = on,
        _ => return None,
    }
    let name = LinkName::new(link).ok()?;
    let newborn = LinkRef { ns: step.ns.clone(), name };
    let is_newborn = step.mode == Mode::Fresh && work.report.links.contains_key(&newborn);
    is_newborn.then_some((newborn.name, conf))
}
