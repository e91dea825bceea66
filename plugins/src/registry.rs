//! Which plugins there are.

use cni::skel::Plugin;

/// Names in alphabetical order, with what answers to them.
pub(crate) const PLUGINS: &[(&str, &(dyn Plugin + Sync))] = &[
    ("bridge", &crate::bridge::Bridge),
    ("firewall", &crate::firewall::Firewall),
    ("flannel", &crate::flannel::Flannel),
    ("host", &crate::host::Host),
    ("host-local", &crate::host_local::HostLocal),
    ("loopback", &crate::loopback::Loopback),
    ("macvlan", &crate::macvlan::MacVlan),
    ("netd", &crate::netd::Netd),
    ("none", &crate::none::None),
    ("overlay", &crate::overlay::Overlay),
    ("portmap", &crate::portmap::PortMap),
    ("static", &crate::static_ipam::Static),
];

/// The plugin of a name.
pub(crate) fn find(name: &str) -> Option<&'static (dyn Plugin + Sync)> {
    PLUGINS.iter().find(|(n, _)| *n == name).map(|(_, plugin)| *plugin)
}
