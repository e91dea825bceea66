//! The name servers of this host. Often they are reached by the default route alone, so no route says
//! that their addresses are in use; Docker chooses no subnet with one of them either
//! (`ElectInterfaceAddresses()` of moby, `libnetwork/netutils`).

use std::net::IpAddr;

use ipam::resolv_conf::ResolvConf;
use ipnetwork::IpNetwork;

/// resolv.conf(5), and that of systemd-resolved with the servers that are behind its 127.0.0.53.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Each as a network of one address. A file that is not there, or cannot be read, names none.
pub(super) fn of_host() -> Vec<IpNetwork> {
    let texts = FILES.iter().filter_map(|file| std::fs::read(file).ok());
    texts.flat_map(|text| named(&String::from_utf8_lossy(&text))).collect()
}

fn named(text: &str) -> Vec<IpNetwork> {
    let address = |server: &String| {
        // A link-local one is written with its interface: fe80::1%eth0.
        let address = server.split('%').next()?;
        address.parse::<IpAddr>().ok().map(IpNetwork::from)
    };
    ResolvConf::parse(text).nameservers.iter().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_a_file_are_found_and_nothing_else_is() {
        let text = "# nameserver 192.0.2.1\nsearch example.org\n nameserver\t172.17.0.53 \n\
                    nameserver fe80::1%eth0\nnameserver\nnameserver nobody\nnameservers 192.0.2.2";
        let servers: Vec<String> = named(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["172.17.0.53/32", "fe80::1/128"]);
    }
}
