//! Where everything that hosts share is in the store.

use std::fmt::Display;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::network::{Id, Vni};

/// The keys below `<own prefix>/global/`. They are followed as a whole, so that what happens to networks,
/// addresses and hosts is heard of in the order in which it happened.
///
/// | key | what |
/// |---|---|
/// | `networks/<id>` | a network; it never changes |
/// | `names/<name>` | the id of the network that is called so |
/// | `vnis/<vni>` | the id of the network whose frames are told by it |
/// | `turn` | changes with every network that is made: who decides beside others is the only one who does |
/// | `blocks/<id>/<address>-<length>` | the host that gives out these addresses of the network |
/// | `addresses/<id>/<address>` | the host that has this single address |
/// | `wanted/<id>/<address>` | the host that would have this single address, which another one has |
/// | `freed/<id>/<address>` | that an administrator has freed this address of a host that was down |
/// | `endpoints/<id>/<endpoint>` | a container's place on the network |
/// | `members/<machine-id>` | a host: where it is reached |
/// | `live/<machine-id>` | that the host's agent runs |
///
/// Blocks, addresses, what is freed of them, endpoints and members end with the host's session of 24 h, signs of
/// life with one of 20 s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(String);

/// What a key is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Network(Id),
    Block(Id, IpNetwork),
    Address(Id, IpAddr),
    Wanted(Id, IpAddr),
    Freed(Id, IpAddr),
    Endpoint(Id, String),
    Member(String),
    Live(String),
    /// Names, numbers and the turn are only for transactions.
    Other,
}

impl Keys {
    /// Those below netd's own prefix, as [`crate::lease::Keyspace`] has cleaned it.
    pub(crate) fn below(own: &str) -> Self {
        Self(format!("{own}/global/"))
    }

    /// The prefix of all.
    pub(super) fn all(&self) -> String {
        self.0.clone()
    }

    pub(super) fn networks(&self) -> String {
        self.of("networks", "")
    }

    pub(super) fn network(&self, id: &Id) -> String {
        self.of("networks", id)
    }

    pub(super) fn name(&self, name: &str) -> String {
        self.of("names", name)
    }

    pub(super) fn vni(&self, vni: Vni) -> String {
        self.of("vnis", vni)
    }

    pub(super) fn turn(&self) -> String {
        format!("{}turn", self.0)
    }

    pub(super) fn blocks(&self, id: &Id) -> String {
        self.of("blocks", format_args!("{id}/"))
    }

    pub(super) fn block(&self, id: &Id, block: IpNetwork) -> String {
        format!("{}{}-{}", self.blocks(id), block.network(), block.prefix())
    }

    pub(super) fn addresses(&self, id: &Id) -> String {
        self.of("addresses", format_args!("{id}/"))
    }

    pub(super) fn address(&self, id: &Id, ip: IpAddr) -> String {
        format!("{}{ip}", self.addresses(id))
    }

    pub(super) fn wanted(&self, id: &Id, ip: IpAddr) -> String {
        self.of("wanted", format_args!("{id}/{ip}"))
    }

    pub(super) fn freed(&self, id: &Id, ip: IpAddr) -> String {
        format!("{}{ip}", self.all_freed(id))
    }

    pub(super) fn all_freed(&self, id: &Id) -> String {
        self.of("freed", format_args!("{id}/"))
    }

    pub(super) fn endpoints(&self, id: &Id) -> String {
        self.of("endpoints", format_args!("{id}/"))
    }

    pub(super) fn endpoint(&self, id: &Id, endpoint: &str) -> String {
        format!("{}{endpoint}", self.endpoints(id))
    }

    pub(super) fn member(&self, machine_id: &str) -> String {
        self.of("members", machine_id)
    }

    pub(super) fn live(&self, machine_id: &str) -> String {
        self.of("live", machine_id)
    }

    /// What a key is of; `None` for one that nobody here writes.
    pub(super) fn read(&self, key: &str) -> Option<Key> {
        let (kind, rest) = key.strip_prefix(&self.0)?.split_once('/').unwrap_or(("turn", ""));
        let of_network = || {
            let (id, rest) = rest.split_once('/')?;
            Some((Id::parse(id)?, rest))
        };
        Some(match kind {
            "networks" => Key::Network(Id::parse(rest)?),
            "blocks" => {
                let (id, block) = of_network()?;
                let (ip, length) = block.rsplit_once('-')?;
                Key::Block(id, IpNetwork::new(ip.parse().ok()?, length.parse().ok()?).ok()?)
            }
            "addresses" => {
                let (id, ip) = of_network()?;
                Key::Address(id, ip.parse().ok()?)
            }
            "wanted" => {
                let (id, ip) = of_network()?;
                Key::Wanted(id, ip.parse().ok()?)
            }
            "freed" => {
                let (id, ip) = of_network()?;
                Key::Freed(id, ip.parse().ok()?)
            }
            "endpoints" => {
                let (id, endpoint) = of_network()?;
                Key::Endpoint(id, endpoint.to_owned())
            }
            "members" => Key::Member(rest.to_owned()),
            "live" => Key::Live(rest.to_owned()),
            "names" | "vnis" | "turn" => Key::Other,
            _ => return None,
        })
    }

    fn of(&self, kind: &str, which: impl Display) -> String {
        format!("{}{kind}/{which}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_as_what_it_was_written_for() {
        let (keys, id) = (Keys::below("/netd/v1"), Id::random());
        let block = |text: &str| -> IpNetwork { text.parse().unwrap() };
        let all = [
            (keys.network(&id), Key::Network(id.clone())),
            (keys.name("dev"), Key::Other),
            (keys.vni(Vni::try_from(7).unwrap()), Key::Other),
            (keys.turn(), Key::Other),
            (keys.block(&id, block("10.0.0.16/28")), Key::Block(id.clone(), block("10.0.0.16/28"))),
            (keys.block(&id, block("fd00:1::/68")), Key::Block(id.clone(), block("fd00:1::/68"))),
            (
                keys.address(&id, "10.0.0.7".parse().unwrap()),
                Key::Address(id.clone(), "10.0.0.7".parse().unwrap()),
            ),
            (
                keys.wanted(&id, "10.0.0.7".parse().unwrap()),
                Key::Wanted(id.clone(), "10.0.0.7".parse().unwrap()),
            ),
            (
                keys.freed(&id, "10.0.0.7".parse().unwrap()),
                Key::Freed(id.clone(), "10.0.0.7".parse().unwrap()),
            ),
            (keys.endpoint(&id, "e"), Key::Endpoint(id.clone(), "e".to_owned())),
            (keys.member("m"), Key::Member("m".to_owned())),
            (keys.live("m"), Key::Live("m".to_owned())),
        ];
        for (key, of) in all {
            assert!(key.starts_with("/netd/v1/global/"), "{key}");
            assert_eq!(keys.read(&key), Some(of), "{key}");
        }
    }

    #[test]
    fn what_nobody_here_has_written_is_passed_over() {
        let keys = Keys::below("/netd/v1");
        for key in ["/netd/v1/hosts/x/lease", "networks/x", "blocks/x/10.0.0.0-28", "new/thing"] {
            assert_eq!(keys.read(&format!("/netd/v1/global/{key}")), None, "{key}");
        }
        assert_eq!(keys.read("/netd/v1/hosts/m/live/coreos.com/network"), None);
    }
}
