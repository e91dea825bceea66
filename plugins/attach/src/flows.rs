//! Flows through published UDP ports, which conntrack must forget: a client that keeps sending would
//! stay without translation, or with that of the container before (plugins#123, plugins#1190).

use std::net::IpAddr;
use std::sync::Arc;

use drivers::ports::Transport;
use drivers::ruleset::Ip;
use kernel::Kernel;
use netstate::nft::{Element, SetId, Value};

use crate::Record;

/// Those of an attachment.
///
/// # Errors
/// As [`flush`].
pub fn forget(kernel: &mut Kernel, record: &Record) -> Result<(), kernel::Error> {
    flush(kernel, &udp_ports(record))
}

/// What came to these host ports of UDP: for all addresses where none is given.
///
/// # Errors
/// The kernel; it was tried for both families.
pub fn flush(kernel: &mut Kernel, udp: &[(Ip, Option<IpAddr>, u16)]) -> Result<(), kernel::Error> {
    let mut done = Ok(());
    for family in Ip::BOTH {
        let of_family = udp.iter().filter(|(ip, ..)| *ip == family);
        let ports: Vec<_> = of_family.map(|(_, host_ip, port)| (*host_ip, *port)).collect();
        done = done.and(kernel.flush_udp_ports(family == Ip::V4, &ports));
    }
    done
}

/// The UDP host ports in a record's translations.
fn udp_ports(record: &Record) -> Vec<(Ip, Option<IpAddr>, u16)> {
    let udp = Value::Proto(Transport::Udp.number());
    let of = |(set, element): &(SetId, Arc<Element>)| {
        let ip = if set.name.starts_with("dnat_host4") || set.name.starts_with("dnat_any4") {
            Ip::V4
        } else if set.name.starts_with("dnat_host6") || set.name.starts_with("dnat_any6") {
            Ip::V6
        } else {
            return None;
        };
        if !element.key.contains(&udp) {
            return None;
        }
        let host_ip = element.key.iter().find_map(|v| match v {
            Value::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            Value::Ipv6(ip) => Some(IpAddr::V6(*ip)),
            Value::Mac(_) | Value::Proto(_) | Value::Port(_) | Value::Ifname(_) | Value::Vni(_) => {
                None
            }
        });
        let port = element
            .key
            .iter()
            .find_map(|v| if let Value::Port(port) = v { Some(*port) } else { None })?;
        Some((ip, host_ip, port))
    };
    record.elements.iter().filter_map(of).collect()
}
