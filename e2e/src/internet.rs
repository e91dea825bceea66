//! The rest of the world: a router with a server behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Result;

use crate::host::Host;
use crate::lab::Lab;
use crate::place::Place as _;
use crate::probe;
use crate::process::Process;

/// A host that is the internet to the others:
///
/// ```text
///                              internet
///   host one  eth0 ------- uplink0 |
///     192.0.2.10/24                | br0 192.0.2.1/24, 2001:db8:1::1/64
///   host two  eth0 ------- uplink1 | lo  203.0.113.10, 2001:db8:ff::10: a server on port 80
///     192.0.2.11/24
/// ```
///
/// It knows no route to any container network, so whatever leaves a host without masquerade is
/// never answered.
#[derive(Debug)]
pub struct Internet {
    /// The host itself, for captures.
    pub host: Host,
    server: Process,
    uplinks: AtomicU8,
}

/// The addresses of a host's `eth0` on the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uplink {
    /// 192.0.2.10 and up.
    pub v4: IpAddr,
    /// 2001:db8:1::a and up.
    pub v6: IpAddr,
}

impl Internet {
    /// The server's IPv4 address.
    pub const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
    /// The server's IPv6 address.
    pub const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x10));
    /// The server's port, tcp and udp.
    pub const PORT: u16 = 80;

    const FIRST_HOST: u8 = 10;

    pub(crate) fn new(lab: &Lab) -> Result<Self> {
        let host = lab.host("internet")?;
        // A bridge without an address of its own takes another one when a host is plugged in.
        host.sh(&format!(
            "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=0
             ip link add br0 address 02:00:c0:00:02:01 type bridge
             ip link set br0 up
             ip addr add 192.0.2.1/24 dev br0
             ip addr add 2001:db8:1::1/64 dev br0 nodad
             ip addr add {}/32 dev lo
             ip addr add {}/128 dev lo nodad",
            Self::V4,
            Self::V6,
        ))?;
        let server = probe::serve(&host, Self::PORT, &[Self::V4, Self::V6])?;
        Ok(Self { host, server, uplinks: AtomicU8::new(0) })
    }

    /// Connects a host: gives it `eth0` with an address of each family and the default routes.
    ///
    /// # Errors
    ///
    /// When the host has an `eth0` already.
    pub fn connect(&self, lab: &Lab, host: &Host) -> Result<Uplink> {
        let number = self.uplinks.fetch_add(1, Ordering::Relaxed);
        let last = Self::FIRST_HOST + number;
        let v4 = Ipv4Addr::new(192, 0, 2, last);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, u16::from(last));
        let plug = format!("uplink{number}");
        lab.wire(&self.host.port(&plug, ""), &host.port("eth0", &format!("{v4}/24 {v6}/64")))?;
        self.host.run(&["ip", "link", "set", &plug, "master", "br0"])?;
        host.sh("ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:1::1")?;
        Ok(Uplink { v4: v4.into(), v6: v6.into() })
    }

    /// What the server has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.log()
    }
}
