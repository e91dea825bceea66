//! Options on their way: set one after another, checked together at the end.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnetwork::IpNetwork;

use super::networks::{self, Named};
use super::table::{self, OptionRow, Set, Value};
use super::{Options, OptionsError};

/// flannel's defaults, and then what was set.
#[derive(Debug)]
pub(super) struct Draft {
    options: Options,
    health_ip: IpAddr,
    health_port: u16,
    /// `log` was set, which says more than `v`.
    log_set: bool,
    /// Repeatable options that this place has set: its first value replaces those of earlier ones.
    begun: BTreeSet<String>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            options: Options::default(),
            health_ip: Ipv4Addr::UNSPECIFIED.into(),
            health_port: 0,
            log_set: false,
            begun: BTreeSet::new(),
        }
    }
}

impl Draft {
    /// What follows comes from another place, which outdoes the earlier ones.
    pub(super) fn next_place(&mut self) {
        self.begun.clear();
    }

    /// The values of an option follow: lists begin anew, once per place.
    pub(super) fn begin(&mut self, name: &str) {
        let repeatable = table::find(name).is_some_and(|row| matches!(row.value, Value::Many(_)));
        if repeatable && self.begun.insert(name.to_owned()) {
            match name {
                "iface" => self.options.iface.iface.clear(),
                "ip-masq-exclude" => self.options.ip_masq_exclude.clear(),
                _ => self.options.iface.iface_regex.clear(),
            }
        }
    }

    /// Sets an option; `at` says where it stands.
    pub(super) fn set(&mut self, name: &str, value: &str, at: &str) -> Result<(), String> {
        let Some(row) = table::find(name) else { return Err(format!("{at}: no such option")) };
        self.put(row, value).map_err(|why| format!("{at}: {why}"))
    }

    /// Sets what a row says; the error is without the option's name.
    pub(super) fn put(&mut self, row: &OptionRow, value: &str) -> Result<(), String> {
        let options = &mut self.options;
        match row.set {
            Set::Word(slot) => value.clone_into(slot(options)),
            Set::Text(slot) => *slot(options) = (!value.is_empty()).then(|| value.to_owned()),
            Set::File(slot) => *slot(options) = (!value.is_empty()).then(|| value.into()),
            Set::Path(slot) => *slot(options) = absolute(value)?,
            Set::Address(read) if read(options, value) => {}
            Set::Address(_) => return Err(format!("{value:?} is no such address")),
            Set::On(set) => {
                let wrong = || format!("{value:?} is neither true nor false");
                set(options, boolean(value).ok_or_else(wrong)?);
            }
            Set::By(set) => return set(self, value),
            Set::NoEffect => {
                let text = format!("option {} is accepted and has no effect", row.name);
                options.ignored.push(text);
            }
            Set::Never(why) => return Err(why.to_owned()),
        }
        Ok(())
    }

    /// Checks what only makes sense together.
    pub(super) fn finish(mut self) -> Result<Options, OptionsError> {
        let wrong = |text: String| Err(OptionsError::Config(text));
        let store = &self.options.store;
        if let Err(error) = store.keyspace() {
            return wrong(error.to_string());
        }
        if let Err(text) = networks::check(&self.options) {
            return wrong(text);
        }
        if self.options.standalone && !self.options.networks.is_empty() {
            return wrong(
                "--networks is given with --standalone: a host without a cluster is in none of its \
                 networks; give one of both"
                    .to_owned(),
            );
        }
        if store.etcd_keyfile.is_some() != store.etcd_certfile.is_some() {
            return wrong(
                "etcd-keyfile and etcd-certfile belong together: give both or none".to_owned(),
            );
        }
        if store.etcd_password.is_some() && store.etcd_username.is_none() {
            return wrong("etcd-password is given without etcd-username: give both".to_owned());
        }
        if !self.options.ip_masq && !self.options.ip_masq_exclude.is_empty() {
            return wrong("ip-masq-exclude is given without ip-masq: give both or none".to_owned());
        }
        if self.health_port != 0 {
            self.options.health = Some(SocketAddr::new(self.health_ip, self.health_port));
        }
        Ok(self.options)
    }

    pub(super) fn avoid(&mut self, value: &str) -> Result<(), String> {
        let nets = value.split(',').map(str::trim).filter(|net| !net.is_empty());
        let wrong = |net| format!("{net:?} is no network in CIDR notation: write 10.0.0.0/8");
        let nets = nets.map(|text| {
            let net = ipam::parse_cidr(text).map_err(|_| wrong(text))?;
            without_host_bits(text, net)
        });
        self.options.avoid = nets.collect::<Result<_, _>>()?;
        Ok(())
    }

    pub(super) fn endpoints(&mut self, value: &str) -> Result<(), String> {
        let mut endpoints = Vec::new();
        for url in value.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            if rest.is_none_or(|host| host.trim_end_matches('/').is_empty()) {
                return Err(format!("{url:?} is no endpoint; write http://HOST:2379"));
            }
            endpoints.push(url.trim_end_matches('/').to_owned());
        }
        if endpoints.is_empty() {
            return Err("no endpoint in it; write http://HOST:2379".to_owned());
        }
        self.options.store.etcd_endpoints = endpoints.join(",");
        Ok(())
    }

    pub(super) fn networks(&mut self, value: &str) -> Result<(), String> {
        // As of every option, an empty value is none.
        let names = value.split(',').map(str::trim).filter(|_| !value.is_empty());
        let networks: Vec<Named> = names.map(Named::read).collect::<Result<_, _>>()?;
        for (n, network) in networks.iter().enumerate() {
            if networks.iter().take(n).any(|other| other.name == network.name) {
                return Err(format!("network {} is named twice", network.name));
            }
        }
        self.options.networks = networks;
        Ok(())
    }

    pub(super) fn iface(&mut self, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Err("it is empty; name an interface or an address".to_owned());
        }
        self.options.iface.iface.push(value.to_owned());
        Ok(())
    }

    pub(super) fn iface_regex(&mut self, value: &str) -> Result<(), String> {
        if value.is_empty() || regex::Regex::new(value).is_err() {
            return Err(format!("{value:?} is no regular expression; write one as ^eth"));
        }
        self.options.iface.iface_regex.push(value.to_owned());
        Ok(())
    }

    pub(super) fn ip_masq_exclude(&mut self, value: &str) -> Result<(), String> {
        let net: Option<IpNetwork> = value.parse().ok();
        let net = net.filter(|_| value.contains('/')).ok_or_else(|| {
            format!("{value:?} is no network; write one as 192.0.2.0/24 or 2001:db8::/32")
        })?;
        if net.prefix() == 0 {
            return Err(format!("{value:?} is everything; leave --ip-masq out for that"));
        }
        self.options.ip_masq_exclude.push(without_host_bits(value, net)?);
        Ok(())
    }

    pub(super) fn renew_margin(&mut self, value: &str) -> Result<(), String> {
        let minutes: Option<u32> = value.parse().ok();
        if minutes.is_none_or(|minutes| !(1..=1439).contains(&minutes)) {
            return Err(format!("{value:?} is no number of minutes from 1 to 1439"));
        }
        Ok(())
    }

    /// flanneld needs short intervals for want of events; here they only guard against losses.
    pub(super) fn resync(&mut self, value: &str) -> Result<(), String> {
        self.options.resync = seconds(value, 1)?;
        Ok(())
    }

    pub(super) fn subnet_ttl(&mut self, value: &str) -> Result<(), String> {
        self.options.subnet_ttl = seconds(value, 2)?;
        Ok(())
    }

    pub(super) fn extension_timeout(&mut self, value: &str) -> Result<(), String> {
        self.options.extension_timeout = seconds(value, 1)?;
        Ok(())
    }

    pub(super) fn missing_ttl(&mut self, value: &str) -> Result<(), String> {
        self.options.missing_ttl = Some(seconds(value, 2)?);
        Ok(())
    }

    /// `ethtool`'s words.
    pub(super) fn vxlan_tx_checksum(&mut self, value: &str) -> Result<(), String> {
        self.options.vxlan_tx_checksum = match value {
            "on" => Some(true),
            "off" => Some(false),
            _ => return Err(format!("{value:?} is neither on nor off")),
        };
        Ok(())
    }

    pub(super) fn health_ip(&mut self, value: &str) -> Result<(), String> {
        self.health_ip = value.parse().map_err(|_| format!("{value:?} is no IP address"))?;
        Ok(())
    }

    pub(super) fn health_port(&mut self, value: &str) -> Result<(), String> {
        self.health_port =
            value.parse().map_err(|_| format!("{value:?} is no port, 0 to 65535"))?;
        Ok(())
    }

    pub(super) fn log(&mut self, value: &str) -> Result<(), String> {
        let filter: Result<tracing_subscriber::EnvFilter, _> = value.parse();
        if value.is_empty() || filter.is_err() {
            return Err(format!("{value:?} is no log filter; write error, warn, info or debug"));
        }
        self.options.log = value.to_owned();
        self.log_set = true;
        Ok(())
    }

    pub(super) fn verbosity(&mut self, value: &str) -> Result<(), String> {
        let level: i32 = value.parse().map_err(|_| format!("{value:?} is no number"))?;
        if !self.log_set {
            let name = match level {
                ..=0 => "info",
                1..=4 => "debug",
                5.. => "trace",
            };
            self.options.log = name.to_owned();
        }
        Ok(())
    }
}

fn absolute(value: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(value);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("{value:?} is no absolute path; write it from / on"))
    }
}

/// Up to a year: no clock has a time that is far more ahead.
fn seconds(value: &str, least: u64) -> Result<Duration, String> {
    const YEAR: u64 = 365 * 24 * 60 * 60;
    let seconds: Option<u64> = value.parse().ok();
    let seconds = seconds.filter(|seconds| (least..=YEAR).contains(seconds));
    let wrong = || format!("{value:?} is no number of seconds from {least} to {YEAR} (a year)");
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// Go's words for a boolean (`strconv.ParseBool`); `None` for any other.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn without_host_bits(text: &str, net: IpNetwork) -> Result<IpNetwork, String> {
    if net.ip() == net.network() {
        return Ok(net);
    }
    Err(format!("{text:?} has host bits; write {}/{}", net.network(), net.prefix()))
}
