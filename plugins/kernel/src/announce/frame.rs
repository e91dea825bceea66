//! The frames, byte by byte.

use std::net::{Ipv4Addr, Ipv6Addr};

use netstate::Mac;

/// ff02::1, all nodes, and its Ethernet address (RFC 2464 section 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const BROADCAST: [u8; 6] = [0xff; 6];

const ICMPV6: u8 = 58;
/// Neighbour advertisement with its target and one option: RFC 4861 sections 4.4 and 4.6.1.
const ADVERTISEMENT: u8 = 136;
const ADVERTISEMENT_LENGTH: u8 = 32;

/// A broadcast request of an address for itself: RFC 826, RFC 5227 section 3.
pub(super) fn arp(Mac(mac): Mac, ip: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend(BROADCAST);
    frame.extend(mac);
    frame.extend([0x08, 0x06]);
    // Ethernet and IPv4, lengths of their addresses, request.
    frame.extend([0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(ip.octets());
    frame.extend([0; 6]);
    frame.extend(ip.octets());
    frame
}

/// An unsolicited advertisement to all nodes, which overrides what they know.
pub(super) fn advertisement(Mac(mac): Mac, ip: Ipv6Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(86);
    frame.extend(ALL_NODES_MAC);
    frame.extend(mac);
    frame.extend([0x86, 0xdd]);
    // Version 6, length of what follows, ICMPv6, hop limit 255.
    frame.extend([0x60, 0, 0, 0, 0, ADVERTISEMENT_LENGTH, ICMPV6, 255]);
    frame.extend(ip.octets());
    frame.extend(ALL_NODES.octets());
    let message = |checksum: u16| {
        let mut message = vec![ADVERTISEMENT, 0];
        message.extend(checksum.to_be_bytes());
        // Flags: override, not solicited, not a router.
        message.extend([0x20, 0, 0, 0]);
        message.extend(ip.octets());
        // Option 2, target link-layer address, of one unit of 8 bytes.
        message.extend([2, 1]);
        message.extend(mac);
        message
    };
    frame.extend(message(checksum(ip, ALL_NODES, &message(0))));
    frame
}

/// The checksum of an ICMPv6 message (RFC 8200 section 8.1, RFC 1071).
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut pseudo = Vec::from(source.octets());
    pseudo.extend(destination.octets());
    pseudo.extend(length.to_be_bytes());
    pseudo.extend([0, 0, 0, ICMPV6]);
    pseudo.extend(message);
    let words = pseudo.chunks(2).map(|pair| {
        u64::from(pair.first().copied().unwrap_or(0)) << 8
            | u64::from(pair.get(1).copied().unwrap_or(0))
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
