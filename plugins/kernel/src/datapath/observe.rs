//! Reading what is in a scope.

use netstate::{IpVlan, Link, LinkKind, LinkName, LinkRef, NetState, Ns, Observed, Scope, Vxlan};

use super::Kernel;
use crate::error::Error;
use crate::route::RawLink;
use crate::sysctl;

pub(super) fn observe(kernel: &mut Kernel, scope: &Scope) -> Result<Observed, Error> {
    let mut observed = Observed::default();
    for link in &scope.links {
        if let Some(raw) = kernel.raw_link(&link.ns, &link.name)? {
            let state = observed.0.ns_mut(link.ns.clone());
            on_link(kernel, scope, link, &raw, state)?;
        }
    }
    if let Some(protocol) = scope.route_protocol {
        routes_by(kernel, protocol, &mut observed)?;
    }
    for (ns, table) in &scope.rule_tables {
        let rules = kernel.rules_to(ns, *table)?;
        if !rules.is_empty() {
            observed.0.ns_mut(ns.clone()).rules.extend(rules);
        }
    }
    sysctls(kernel, scope, &mut observed)?;
    for (ns, id) in &scope.tables {
        if let Some(table) = kernel.table(ns, id)? {
            observed.0.ns_mut(ns.clone()).tables.insert(id.clone(), table);
        }
    }
    elements(kernel, scope, &mut observed)?;
    Ok(observed)
}

impl Kernel {
    /// A link in the model's terms: names for indexes.
    pub(crate) fn modelled(&mut self, ns: &Ns, raw: &RawLink) -> Result<Option<Link>, Error> {
        let Ok(name) = LinkName::new(raw.name.clone()) else { return Ok(None) };
        let kind = self.kind(ns, raw)?;
        let bridge = match raw.master {
            Some(index) => self.raw_link_at(ns, index)?,
            None => None,
        };
        let mut port = raw.port.clone();
        if let Some(port) = &mut port
            && bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering == Some(true))
        {
            port.vlans = Some(self.vlans_of(ns, raw.index)?);
        }
        Ok(Some(Link {
            name,
            kind,
            mtu: Some(raw.mtu),
            mac: raw.mac,
            master: bridge.and_then(|bridge| LinkName::new(bridge.name).ok()),
            up: raw.up,
            promisc: raw.promisc,
            alias: raw.alias.clone(),
            port,
        }))
    }

    fn kind(&mut self, ns: &Ns, raw: &RawLink) -> Result<LinkKind, Error> {
        let other = || LinkKind::Other(raw.kind.clone());
        Ok(match raw.kind.as_str() {
            _ if raw.loopback => LinkKind::Loopback,
            "bridge" => LinkKind::Bridge { vlan_filtering: raw.vlan_filtering },
            "veth" => self.lower(ns, raw)?.map_or_else(other, |peer| LinkKind::Veth { peer }),
            "macvlan" => match (self.lower(ns, raw)?, raw.macvlan_mode) {
                (Some(parent), Some(mode)) => {
                    LinkKind::MacVlan { parent, mode, bc_queue_len: raw.bc_queue_len }
                }
                _ => other(),
            },
            "ipvlan" => match (self.lower(ns, raw)?, raw.ipvlan) {
                (Some(parent), Some((mode, flag))) => {
                    LinkKind::IpVlan(IpVlan { parent, mode, flag })
                }
                _ => other(),
            },
            "vlan" => match (self.lower(ns, raw)?, raw.vlan_id) {
                (Some(parent), Some(id)) => LinkKind::Vlan { parent, id },
                _ => other(),
            },
            "vxlan" => match &raw.vxlan {
                Some(vxlan) => {
                    let name = LinkName::new(raw.name.clone()).ok();
                    let tx_checksum = name.and_then(|name| self.tx_checksum(ns, &name));
                    let parent = self.lower(ns, raw)?;
                    LinkKind::Vxlan(Vxlan { parent, tx_checksum, ..vxlan.clone() })
                }
                None => other(),
            },
            // Of a device that cannot be read only the kind is known.
            "wireguard" => match LinkName::new(raw.name.clone()) {
                Ok(name) => match self.wireguard_device(ns, &name) {
                    Ok(device) => LinkKind::WireGuard(device.own),
                    Err(_) => other(),
                },
                Err(_) => other(),
            },
            "ipip" => raw.ipip.clone().map_or_else(other, LinkKind::Ipip),
            _ => other(),
        })
    }

    /// The far end of a veth or the parent of a macvlan or tunnel end, if it is in one of the namespaces that are open.
    fn lower(&mut self, ns: &Ns, raw: &RawLink) -> Result<Option<LinkRef>, Error> {
        let Some(index) = raw.lower else { return Ok(None) };
        let its_ns = match raw.lower_nsid {
            None => ns.clone(),
            Some(id) => match self.known_as(id, ns)? {
                Some(across) => across,
                None => return Ok(None),
            },
        };
        Ok(self.name_at(&its_ns, index)?.map(|name| LinkRef { ns: its_ns, name }))
    }

    /// Which of the namespaces another knows by a number.
    fn known_as(&mut self, id: i32, seen_from: &Ns) -> Result<Option<Ns>, Error> {
        for ns in self.others(seen_from) {
            if self.nsid(&ns, seen_from)? == Some(id) {
                return Ok(Some(ns));
            }
        }
        Ok(None)
    }
}

fn on_link(
    kernel: &mut Kernel,
    scope: &Scope,
    at: &LinkRef,
    raw: &RawLink,
    state: &mut NetState,
) -> Result<(), Error> {
    let Some(link) = kernel.modelled(&at.ns, raw)? else { return Ok(()) };
    state.links.insert(at.name.clone(), link);
    state.addrs.extend(kernel.addrs_on(&at.ns, &at.name, raw.index)?);
    if scope.neighbours {
        state.neighs.extend(kernel.neighs_on(&at.ns, &at.name, raw.index)?);
    }
    if scope.neighbours && raw.kind == "vxlan" {
        state.fdb.extend(kernel.fdb_on(&at.ns, &at.name, raw.index)?);
    }
    if scope.neighbours && raw.kind == "wireguard" {
        let peers = kernel.wireguard_device(&at.ns, &at.name)?.peers;
        let of_link = |(key, peer)| ((at.name.clone(), key), peer);
        state.wg_peers.extend(peers.into_iter().map(of_link));
    }
    if scope.routes {
        state.routes.extend(kernel.routes_on(&at.ns, &at.name, raw.index)?);
    }
    Ok(())
}

fn routes_by(kernel: &mut Kernel, protocol: u8, observed: &mut Observed) -> Result<(), Error> {
    for ns in std::iter::once(Ns::Host).chain(kernel.others(&Ns::Host)) {
        for (index, mut route) in kernel.routes_made_by(&ns, protocol)? {
            if let Some(index) = index {
                route.dev = kernel.name_at(&ns, index)?;
            }
            observed.0.ns_mut(ns.clone()).routes.insert(route);
        }
    }
    Ok(())
}

fn sysctls(kernel: &mut Kernel, scope: &Scope, observed: &mut Observed) -> Result<(), Error> {
    for ns in [Ns::Host, Ns::Container, Ns::Overlay] {
        let keys: Vec<_> = scope.sysctls.iter().filter(|(n, _)| *n == ns).map(|(_, k)| k).collect();
        if keys.is_empty() {
            continue;
        }
        let values = kernel
            .inside(&ns, || keys.iter().map(|key| (*key, sysctl::read(key))).collect::<Vec<_>>())?;
        for (key, value) in values {
            let value = value.map_err(|e| Error::os(format!("read sysctl {key}"), e))?;
            let state = observed.0.ns_mut(ns.clone());
            state.sysctls.extend(value.map(|value| (key.clone(), value)));
        }
    }
    Ok(())
}

fn elements(kernel: &mut Kernel, scope: &Scope, observed: &mut Observed) -> Result<(), Error> {
    for ns in [Ns::Host, Ns::Container, Ns::Overlay] {
        let asked = scope.elements.iter().filter(|(n, ..)| *n == ns);
        let keys: Vec<_> = asked.map(|(_, set, e)| (set.clone(), e.key.clone())).collect();
        if keys.is_empty() {
            continue;
        }
        for ((set, _), found) in keys.iter().zip(kernel.elements_at(&ns, &keys)?) {
            if let Some(element) = found {
                observed.0.ns_mut(ns.clone()).add_element(set.clone(), element);
            }
        }
    }
    Ok(())
}
