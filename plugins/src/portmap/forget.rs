//! Flows through published UDP ports, which conntrack must forget.

use std::io::Write;
use std::net::IpAddr;

use attach::Record;
use cni::Error;
use drivers::ports::Transport;
use drivers::ruleset::Ip;
use kernel::Kernel;
use netstate::nft::Value;

use crate::attachment::{self, kernel_error};

/// A client that keeps sending would stay without translation, or with that of the container
/// before (plugins#123, plugins#1190). That the entry expires by itself is why a failure is not
/// one of ADD.
pub(super) fn flush_conntrack(kernel: &mut Kernel, udp: &[(Ip, Option<IpAddr>, u16)]) {
    if let Err(e) = flush_all(kernel, udp) {
        let _ = writeln!(std::io::stderr(), "portmap: {}", cni::ErrorChain(&e));
    }
}

/// DEL and GC forget the flows of an attachment before its record.
pub(super) fn forget_flows(record: &Record) -> Result<(), Error> {
    flush_all(&mut attachment::kernel(None), &udp_ports(record)).map_err(|e| kernel_error(&e))
}

fn flush_all(kernel: &mut Kernel, udp: &[(Ip, Option<IpAddr>, u16)]) -> Result<(), kernel::Error> {
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
    let of = |(set, element): &(netstate::nft::SetId, netstate::nft::Element)| {
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
            Value::Mac(_) | Value::Proto(_) | Value::Port(_) | Value::Ifname(_) => None,
        });
        let port = element
            .key
            .iter()
            .find_map(|v| if let Value::Port(port) = v { Some(*port) } else { None })?;
        Some((ip, host_ip, port))
    };
    record.elements.iter().filter_map(of).collect()
}
