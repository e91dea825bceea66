//! flannel's defaults, and netd's own.

use std::time::Duration;

use super::{IfaceOptions, Options};
use crate::config::store::{self, StoreOptions};

impl Default for Options {
    fn default() -> Self {
        let store = StoreOptions {
            etcd_endpoints: store::ENDPOINTS.to_owned(),
            etcd_prefix: store::PREFIX.to_owned(),
            etcd_own_prefix: store::OWN_PREFIX.to_owned(),
            etcd_cafile: None,
            etcd_certfile: None,
            etcd_keyfile: None,
            etcd_username: None,
            etcd_password: None,
        };
        Self {
            store,
            networks: Vec::new(),
            network: None,
            subnet_dir: "/run/flannel/networks".into(),
            iface: IfaceOptions::default(),
            subnet_file: "/run/flannel/subnet.env".into(),
            ip_masq: false,
            ip_masq_exclude: Vec::new(),
            ip_masq_fully_random: true,
            forward_rules: true,
            blackhole_route: false,
            vxlan_tx_checksum: None,
            resync: Duration::from_secs(60),
            health: None,
            state_dir: "/var/lib/netd".into(),
            run_dir: "/run/netd".into(),
            extension_shell: false,
            extension_timeout: Duration::from_secs(60),
            wireguard_key_file: "/run/flannel/wgkey".into(),
            cni_conf_dir: None,
            confirm_restored: false,
            log: "info".to_owned(),
            subnet_ttl: Duration::from_secs(24 * 60 * 60),
            missing_ttl: None,
            standalone: false,
            avoid: Vec::new(),
            ignored: Vec::new(),
        }
    }
}
