//! Whom the host asks: resolv.conf(5), read again when it is another file.

use std::fs::Metadata;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use ipam::resolv_conf::ResolvConf;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

/// Resolvers that are asked, as by the C library (`MAXNS` of resolv.h).
const MOST: usize = 3;
/// Where resolvers listen (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// The host's resolvers.
#[derive(Debug)]
pub(super) struct Resolvers {
    file: PathBuf,
    /// Of the file that was read; none before the first time, and of a file that is not there.
    stamp: Option<Stamp>,
    servers: Vec<SocketAddr>,
}

/// What another file, or another text, does not have.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Resolvers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, stamp: None, servers: Vec::new() }
    }

    /// Those of now, and whether they are others than the last time. Without a file, or without any in
    /// it, it is the one on this host, as resolv.conf(5) says.
    pub(super) fn now(&mut self) -> (&[SocketAddr], bool) {
        let stamp = std::fs::metadata(&self.file).ok().map(|of| Stamp::of(&of));
        let mut are_others = false;
        if self.servers.is_empty() || stamp != self.stamp {
            let text = std::fs::read(&self.file).unwrap_or_default();
            let servers = servers(&String::from_utf8_lossy(&text));
            are_others = servers != self.servers;
            (self.stamp, self.servers) = (stamp, servers);
        }
        (&self.servers, are_others)
    }
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            file: (file.dev(), file.ino()),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

fn servers(text: &str) -> Vec<SocketAddr> {
    let named = ResolvConf::parse(text).nameservers;
    let servers = named.iter().filter_map(|server| address(server)).take(MOST);
    let mut servers: Vec<SocketAddr> = servers.collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

/// A link-local address is written with its interface: fe80::1%eth0.
fn address(text: &str) -> Option<SocketAddr> {
    let Some((ip, scope)) = text.split_once('%') else {
        return text.parse::<IpAddr>().ok().map(|ip| (ip, PORT).into());
    };
    let index = scope.parse().ok().or_else(|| {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
        name_to_index(&any, scope).ok()
    })?;
    Some(SocketAddrV6::new(ip.parse::<Ipv6Addr>().ok()?, PORT, 0, index).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_servers_are_asked_and_the_host_itself_where_there_is_none() {
        let text = "nameserver 192.0.2.1\nnameserver nobody\nsearch x\nnameserver fe80::1%lo\n\
                    nameserver 2001:db8::1\nnameserver 192.0.2.4\n";
        let found: Vec<String> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[fe80::1%1]:53", "[2001:db8::1]:53"]);
        assert_eq!(servers("# none\n"), [SocketAddr::from(([127, 0, 0, 1], 53))]);
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("resolv.conf");
        let mut resolvers = Resolvers::new(file.clone());
        assert_eq!(resolvers.now(), (&[SocketAddr::from(([127, 0, 0, 1], 53))][..], true));
        let other = SocketAddr::from(([192, 0, 2, 1], 53));
        std::fs::write(&file, "nameserver 192.0.2.1\n").expect("written");
        assert_eq!(resolvers.now(), (&[other][..], true));
        assert_eq!(resolvers.now(), (&[other][..], false));
        std::fs::remove_file(&file).expect("removed");
        assert!(resolvers.now().1);
    }
}
