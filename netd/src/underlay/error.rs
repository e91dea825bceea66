//! Why no interface will do.

use std::net::IpAddr;

use netstate::LinkName;

/// Why no interface will do. Displays as a sentence with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// Nothing of what was asked for is there.
    #[error("no interface fits ({tried}); there are: {there}")]
    None {
        /// What was tried and why it was not it.
        tried: String,
        /// The interfaces there are.
        there: String,
    },
    /// `--public-ip` alone names the interface that has it.
    #[error(
        "no interface has {ip} (--public-ip): behind address translation name the interface with \
         --iface, too; there are: {there}"
    )]
    PublicIp {
        /// The address.
        ip: IpAddr,
        /// The interfaces there are.
        there: String,
    },
    /// No route to choose by.
    #[error(
        "there is no {family} default route: name the interface with --iface; there are: {there}"
    )]
    NoDefault {
        /// The family.
        family: &'static str,
        /// The interfaces there are.
        there: String,
    },
    /// Two interfaces.
    #[error(
        "the default routes leave by {v4} (IPv4) and {v6} (IPv6): name one interface with --iface"
    )]
    TwoDefaults {
        /// That of IPv4.
        v4: LinkName,
        /// That of IPv6.
        v6: LinkName,
    },
    /// The interface is not ready.
    #[error(
        "interface {link} has no usable {family} address: give it one, or name another with --iface"
    )]
    NoAddress {
        /// The interface.
        link: LinkName,
        /// The family.
        family: &'static str,
    },
    /// The interface says so.
    #[error("interface {0} has an MTU of 0: set one, or name another with --iface")]
    NoMtu(LinkName),
}
