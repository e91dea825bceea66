//! IPv4 packets as bytes (RFC 791, section 3.1).

use std::net::Ipv4Addr;

/// The shortest header.
const HEADER: usize = 20;
const TTL: usize = 8;
const CHECKSUM: usize = 10;

/// Where a packet is to go; `None` where it is none of IPv4.
pub(super) fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let version = packet.first()? >> 4;
    let bytes: [u8; 4] = packet.get(16..HEADER)?.try_into().ok()?;
    (version == 4).then(|| Ipv4Addr::from(bytes))
}

/// Takes one from the time to live, and keeps the checksum right (RFC 1141). False where the time is
/// over: flannel drops such a packet without a word.
pub(super) fn hop(packet: &mut [u8]) -> bool {
    let Some([ttl, _, high, low]) = packet.get_mut(TTL..CHECKSUM + 2) else { return false };
    if *ttl <= 1 {
        return false;
    }
    *ttl -= 1;
    let sum = u32::from(u16::from_be_bytes([*high, *low])) + 0x0100;
    let [_, _, a, b] = (sum + (sum >> 16)).to_be_bytes();
    (*high, *low) = (a, b);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(header: &[u8]) -> u16 {
        let words = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum: u32 = words.sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
    }

    fn packet(ttl: u8, id: u16) -> Vec<u8> {
        let [a, b] = id.to_be_bytes();
        let mut bytes = vec![0x45, 0, 0, 20, a, b, 0x40, 0, ttl, 1, 0, 0, 10, 5, 1, 2, 10, 5, 9, 2];
        let sum = !checksum(&bytes);
        bytes[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn a_hop_takes_one_from_the_time_to_live_and_keeps_the_checksum_right() {
        for id in 0..=u16::MAX {
            let mut bytes = packet(64, id);
            assert!(hop(&mut bytes));
            assert_eq!((bytes[TTL], checksum(&bytes)), (63, 0xffff), "{id}");
        }
        assert!(!hop(&mut packet(1, 0)) && !hop(&mut packet(0, 0)) && !hop(&mut [0x45; 11]));
        assert_eq!(destination(&packet(64, 0)), Some([10, 5, 9, 2].into()));
    }

    #[test]
    fn packets_survive_any_input() {
        for length in 0..64 {
            for first in [0x45, 0x60, 0, 0xff] {
                let mut bytes = vec![first; length];
                let to = destination(&bytes);
                assert!(to.is_none() || (length >= HEADER && first >> 4 == 4));
                let _ = hop(&mut bytes);
            }
        }
    }
}
