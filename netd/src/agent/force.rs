//! What is in force on this host: configuration, interface and lease, and what follows from them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use drivers::traffic::Traffic;
use netd_api::SubnetEnv;

use crate::api::status;
use crate::backend::{Backend, InvalidBackend, Macs, Overlay};
use crate::config::network::NetworkConfig;
use crate::config::options::Options;
use crate::lease::{Held, SubnetKey};
use crate::reconcile::Goal;
use crate::underlay::Underlay;

/// What is in force on this host.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) config: NetworkConfig,
    pub(super) underlay: Underlay,
    pub(super) macs: Macs,
    pub(super) held: Held,
    pub(super) overlay: Overlay,
}

impl InForce {
    /// A lease of a configuration over an interface, with the addresses of devices and those that no
    /// route may lead away.
    ///
    /// # Errors
    /// Where the backend cannot be used so.
    pub(super) fn new(
        config: NetworkConfig,
        backend: Backend,
        underlay: Underlay,
        macs: Macs,
        held: Held,
        guarded: BTreeSet<IpAddr>,
    ) -> Result<Self, InvalidBackend> {
        let has_ipv6 = Path::new("/proc/sys/net/ipv6").exists();
        let overlay = backend.overlay(underlay.clone(), held.subnet, &macs, has_ipv6)?;
        let overlay = overlay.guarding(guarded);
        Ok(Self { config, underlay, macs, held, overlay })
    }

    /// The same with what differs by now.
    ///
    /// # Errors
    /// Where the backend cannot be used so.
    pub(super) fn with(
        &self,
        config: &NetworkConfig,
        backend: &Backend,
        underlay: &Underlay,
    ) -> Result<Self, InvalidBackend> {
        let value = backend.publish(underlay, &self.macs)?;
        let mut held = self.held.clone();
        held.value = value;
        let (config, backend, underlay) = (config.clone(), backend.clone(), underlay.clone());
        let guarded = self.overlay.guarded().clone();
        Self::new(config, backend, underlay, self.macs.clone(), held, guarded)
    }

    /// What others are told of this host's subnet.
    pub(super) fn env(&self, options: &Options) -> SubnetEnv {
        let v6 = self.config.ipv6.map(|(network, _)| network).zip(self.held.subnet.v6);
        let v4 = Some((self.config.network, self.held.subnet.v4));
        SubnetEnv::of_lease(v4, v6, self.overlay.mtu(), options.ip_masq)
    }

    /// What the kernel is to hold.
    pub(super) fn goal(&self, options: &Options) -> Goal {
        Goal {
            overlay: self.overlay.clone().with_tx_checksum(options.vxlan_tx_checksum),
            traffic: traffic(&self.config, &self.held.subnet, options),
            forward_rules: options.forward_rules,
            blackhole: options.blackhole_route,
            resync: options.resync,
        }
    }

    /// For administrators.
    pub(super) fn backend(&self) -> status::Backend {
        status::Backend {
            kind: self.overlay.backend().kind().to_owned(),
            interface: self.underlay.link.to_string(),
            public_ip: self.held.value.public_ip.to_string(),
            mtu: self.overlay.mtu(),
            trouble: None,
        }
    }
}

/// The rules of a network in which this host has a subnet.
pub(super) fn traffic(config: &NetworkConfig, subnet: &SubnetKey, options: &Options) -> Traffic {
    let v6 = config.ipv6.map(|(network, _)| network.into());
    Traffic {
        name: options.network.clone().unwrap_or_default(),
        networks: std::iter::once(config.network.into()).chain(v6).collect(),
        subnets: subnet.networks().collect(),
        masquerade: options.ip_masq,
        apart: options.ip_masq_exclude.clone(),
        fully_random: options.ip_masq_fully_random,
    }
}
